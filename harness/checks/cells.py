"""The conformance checks of cells."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps

from harness.checks import engines, sequences, weights
from harness.checks.check import Check, Finding, Found
from harness.checks.specimen import Specimen, restored
from harness.registry import CellSpec


def _check(name: str, reason: str, run: Callable[[Specimen], Found]) -> Check[Specimen]:
    @wraps(run)
    def alone(specimen: Specimen) -> Found:
        with restored():
            return run(specimen)

    return Check(name, reason, alone)


RUNS = _check("runs", "What does not run cannot be measured.", sequences.runs)

QUICK_CHECKS: tuple[Check[Specimen], ...] = (
    RUNS,
    _check(
        "shapes",
        "A shape or type that differs fails late, or is broadcast and trains something else.",
        sequences.shapes,
    ),
    _check(
        "unroll",
        "Whichever way is quicker is taken: they must be ways to the same result.",
        sequences.unroll,
    ),
    _check("causality", "A cell that sees what is to come needs no memory.", sequences.causality),
    _check("rows", "What a row tells another is no memory; and the engine takes rows apart.", sequences.rows),
    _check(
        "memory",
        "What is left of a sequence before is noise, or the answers of the rows before.",
        sequences.memory,
    ),
    _check(
        "determinism",
        "A result that comes out differently each time cannot be compared.",
        sequences.determinism,
    ),
    _check(
        "seed",
        "Repetitions are what an interval is made of: same seed same weights, other seed others.",
        weights.seed,
    ),
    _check(
        "state", "What is remembered elsewhere than in the state is not counted as state.", sequences.state
    ),
    _check("finite", "One number that is none ends a training as diverged.", sequences.finite),
    _check(
        "gradient",
        "A parameter without a gradient counts towards the budget and learns nothing.",
        weights.gradient,
    ),
    _check(
        "derivative",
        "What is cut off from the gradient, as a detached state is, cannot be learned over a gap.",
        weights.derivative,
    ),
    _check("masks", "A structural zero that learns is a parameter that is not counted.", weights.masks),
    _check("inputs", "What is changed in place is wrong for whoever reads it next.", sequences.inputs),
    _check("globals", "Who changes the whole process changes the results of others.", sequences.globals_),
    _check("vmap", "A step that goes for all members at once trains many times faster.", engines.population),
    _check("engines", "All ways to train must come to the same numbers.", engines.engines),
    _check(
        "budget",
        "Cells are compared at one number of parameters, which the width has to meet.",
        weights.budget,
    ),
)
"""Those that take no more than a second or two."""

CELL_CHECKS = (
    *QUICK_CHECKS,
    _check("compile", "A step that is one graph can be compiled.", engines.compile),
    _check(
        "learns",
        "A cell that does not learn one bit two tokens back has a fault, or no gradient.",
        engines.learns,
    ),
)

SLOW_CHECKS = (_check("compiled", "The compiler makes mistakes of its own.", engines.compiled),)
"""Those that take half a minute."""


def check_cell(
    spec: CellSpec, report: Callable[[str], None] = lambda name: None, *, slow: bool = False
) -> list[Finding]:
    """The findings of every check of a cell; of one that does not run, that finding alone.

    report: told the name of each check before it is run
    slow: whether it is compiled to code as well, which takes half a minute

    >>> from harness.registry import find_cell
    >>> [f.verdict for f in check_cell(find_cell("gru"))]  # doctest: +SKIP
    """
    return list(findings(spec, (*CELL_CHECKS, *(SLOW_CHECKS if slow else ())), report))


def findings(
    spec: CellSpec, checks: Iterable[Check[Specimen]], report: Callable[[str], None]
) -> Iterator[Finding]:
    """What each of the checks finds of a cell, as it is made; see `check_cell`."""
    specimen = Specimen(spec)
    for check in checks:
        report(check.name)
        finding = check(specimen)
        yield finding
        if check is RUNS and finding.verdict == "failed":
            return
