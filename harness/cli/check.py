"""`harness check`."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.errors import UserError
from harness.registry import find_task, task_classes

if TYPE_CHECKING:
    from rich.console import Console

    from harness.checks import Finding

STYLES = {
    "passed": "green",
    "failed": "bold red",
    "expected": "yellow",
    "undecided": "yellow",
    "reported": "dim",
}


@click.command("check")
@click.option(
    "--task", "tasks", multiple=True, help="A task's id, or all for every registered one. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and check.")
def command(tasks: tuple[str, ...], as_json: bool) -> None:
    """Check that tasks measure what they say, and print what was measured.

    The gap is the one asked for, the oracle is right, answers are balanced, nothing but the cue tells them,
    samples are the same for ever. Takes some seconds for a task, longer for one in English. The exit code is
    1 when a check fails.

    \b
    Examples:
      harness check --task gap-copy
      harness check --task all --json
    """
    if not tasks:
        raise UserError("nothing to check: give --task NAME, or --task all")
    names = [name for text in tasks for name in (task_classes() if text == "all" else [text])]
    found = [find_task(name) for name in names]
    from rich.console import Console

    from harness.checks import check_task

    out, err = Console(highlight=False), Console(stderr=True)
    failed = False
    for number, task in enumerate(found, 1):
        label = f"{number}/{len(found)} {task.id}"
        with err.status(label) as status:
            if not err.is_terminal:
                err.print(label, highlight=False, markup=False, soft_wrap=True)
            findings = check_task(task, lambda check: status.update(f"{label}: {check}"))  # noqa: B023
        failed |= any(finding.verdict == "failed" for finding in findings)
        if as_json:
            for finding in findings:
                click.echo(json.dumps(_record(finding), ensure_ascii=False))
        else:
            _print(out, findings)
    sys.exit(1 if failed else 0)


def _record(finding: "Finding") -> dict[str, object]:
    """A finding as plain data."""
    fields = ("check", "verdict", "measured", "figures", "case", "reason", "seconds")
    return {"task": finding.subject, **{name: getattr(finding, name) for name in fields}}


def _print(console: "Console", findings: Sequence["Finding"]) -> None:
    """A table of the findings of one task; under what failed, the case that shows it and why it matters."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for finding in findings:
        measured = Text(finding.measured)
        if finding.verdict == "failed":
            measured.append(f"\n{finding.case}\n{finding.reason}", "dim")
        elif finding.verdict == "expected":
            measured.append(f"\n{finding.case}", "dim")
        table.add_row(finding.check, Text(finding.verdict, STYLES[finding.verdict]), measured)
    console.print(findings[0].subject, style="bold", markup=False)
    console.print(table)
    console.print()
