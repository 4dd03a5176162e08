"""`harness tasks`."""

import json
from typing import Any

import click

from harness.cli._options import warn_of_problems
from harness.registry import suite, task_classes


@click.command("tasks")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(as_json: bool) -> None:
    """List the tasks: what each asks for, its chance level, smallest gap and options. * is in the suite.

    They are the published ones, the files of `tasks/` here, and what installed packages add by entry points.

    \b
    Example: harness tasks
    """
    in_suite = {id.partition("[")[0].partition("@")[0] for id in suite()}
    rows: list[dict[str, Any]] = []
    for name, cls in task_classes().items():
        task = cls()
        options = ", ".join(f"{f}={v}" for f, v in vars(task).items())
        rows.append(
            {
                "task": name,
                "version": cls.version,
                "in_suite": name in in_suite,
                "ability": cls.ability,
                "chance": task.chance(task.min_gap),
                "min_gap": task.min_gap,
                "options": options,
                "source": cls.source,
            }
        )
    warn_of_problems()
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "task", "asks a cell to", "chance", "min gap", "options", "source", box=None, header_style="bold"
    )
    for row in rows:
        name = f"{row['task']}{'*' if row['in_suite'] else ''}"
        table.add_row(
            name, row["ability"], f"{row['chance']:.3f}", str(row["min_gap"]), row["options"], row["source"]
        )
    Console().print(table)
