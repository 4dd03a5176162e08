"""The checks of a cell in a process of its own, so that it can do no harm to those of others."""

from collections.abc import Callable, Sequence

from harness.checks import cells
from harness.checks.cells import RUNS, SLOW_CHECKS, findings
from harness.checks.check import Finding
from harness.checks.fresh import Lost, Say, begin, keep
from harness.registry import CellSpec
from harness.registry.cells import CellFile

LIMIT, SLOW_LIMIT = 120.0, 900.0
"""Seconds that a check may take, without and with the compiler."""


def check_apart(
    spec: CellSpec, report: Callable[[str], None] = lambda name: None, *, slow: bool = False
) -> list[Finding]:
    """As `check_cell`, in another process: a check at which a cell hangs, or ends its process, is failed, and
    those after it are not made.
    """
    made: list[Finding] = []
    checks = {check.name: check for check in (*cells.CELL_CHECKS, *(SLOW_CHECKS if slow else ()))}
    current = RUNS
    subject = spec.file, dict(spec.options), spec.layers
    try:
        for said in begin(_check, *subject, list(checks), seconds=SLOW_LIMIT if slow else LIMIT):
            if isinstance(said, Finding):
                made.append(said)
            else:
                current = checks[said]
                report(said)
    except Lost as error:
        case = "the checks after this one were not made"
        lost = Finding(
            "failed", str(error), case=case, subject=spec.id, check=current.name, reason=current.reason
        )
        made.append(lost)
    return made


def _check(say: Say, file: CellFile, options: dict[str, object], layers: int, names: Sequence[str]) -> None:
    keep()
    spec = CellSpec(file, file.cell_class(), options, layers)
    every = {check.name: check for check in (*cells.CELL_CHECKS, *SLOW_CHECKS)}
    for finding in findings(spec, [every[name] for name in names], say):
        say(finding)
