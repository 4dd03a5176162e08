"""`harness check`."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from harness.errors import BrokenFile, UserError
from harness.registry import CellSpec, cell_files, find_cell, find_task, task_classes
from harness.task import Task

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
@click.option(
    "--cell",
    "cells",
    multiple=True,
    help="A cell's id or file, or all for every registered one. Repeatable.",
)
@click.option("--slow", is_flag=True, help="Of cells, try the compiler too: half a minute more for each.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and check.")
def command(tasks: tuple[str, ...], cells: tuple[str, ...], slow: bool, as_json: bool) -> None:
    """Check that tasks measure what they say and cells are what they must be, and print what was found.

    Of a task: the gap is the one asked for, the oracle is right, answers are balanced, nothing but the cue
    tells them, samples are the same for ever. Of a cell: it sees nothing that is to come and no other row,
    all it remembers is in its state, all ways to run it agree, everything in it learns, and it learns
    something. Takes some seconds for each. Every cell has a process of its own: one that hangs, or ends it,
    fails, and the others are checked. The exit code is 1 when a check fails, 2 when a file is broken.

    \b
    Examples:
      harness check --cell my_cell.py
      harness check --cell all --task gap-copy --json
    """
    if not tasks and not cells:
        raise UserError("nothing to check: give --cell NAME or --task NAME, or all of either")
    subjects, broken = _found(tasks, cells)
    for line in broken:
        click.echo(f"harness: {line}", err=True)
    from rich.console import Console

    from harness.checks import check_apart, check_task

    out, err = Console(highlight=False), Console(stderr=True)
    failed = False
    for number, subject in enumerate(subjects, 1):
        label = f"{number}/{len(subjects)} {subject.id}"
        with err.status(label) as status:
            if not err.is_terminal:
                err.print(label, highlight=False, markup=False, soft_wrap=True)
            report: Callable[[str], None] = lambda check: status.update(f"{label}: {check}")  # noqa: B023, E731
            if isinstance(subject, CellSpec):
                findings = check_apart(subject, report, slow=slow)
            else:
                findings = check_task(subject, report)
        failed |= any(finding.verdict == "failed" for finding in findings)
        kind = "cell" if isinstance(subject, CellSpec) else "task"
        if as_json:
            for finding in findings:
                click.echo(json.dumps(_record(kind, finding), ensure_ascii=False))
        else:
            _print(out, findings)
    sys.exit(2 if broken else 1 if failed else 0)


def _found(tasks: Iterable[str], cells: Iterable[str]) -> tuple[list[CellSpec | Task], list[str]]:
    """The tasks and cells of these names, and why those cells that are broken cannot be had."""
    subjects: list[CellSpec | Task] = []
    broken = []
    for name in (name for text in tasks for name in (task_classes() if text == "all" else [text])):
        subjects.append(find_task(name))
    for name in (name for text in cells for name in (cell_files() if text == "all" else [text])):
        try:
            subjects.append(find_cell(name))
        except BrokenFile as error:
            broken.append(str(error))
    return subjects, broken


def _record(kind: str, finding: "Finding") -> dict[str, object]:
    """A finding as plain data."""
    fields = ("check", "verdict", "measured", "figures", "case", "reason", "seconds")
    return {kind: finding.subject, **{name: getattr(finding, name) for name in fields}}


def _print(console: "Console", findings: Sequence["Finding"]) -> None:
    """A table of one subject's findings; under what failed, the case that shows it and why it matters."""
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
