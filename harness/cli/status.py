"""`harness status`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from harness.cli._options import db_option

if TYPE_CHECKING:
    from harness.status import Standing

_SHOWN = 20
"""Failures that are listed, the last ones; of more there is the number."""


@click.command("status")
@click.argument("file", required=False)
@db_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object per plan, training and failure.")
def command(file: str | None, db: str | None, as_json: bool) -> None:
    """Print how far it is: what trains where, what failed, what is left, and when it will end.

    With FILE it is told of the runs that this file asks `harness sweep` for, begun or not.

    When it will end is judged by what was trained since it was begun.

    \b
    Examples:
      harness status
      harness status docs/reference.toml --json
    """
    from harness import status
    from harness.store import Store

    if file is None:
        store = Store.open(db, create=False)
        attempts, runs, plans = store.attempts(), store.runs(failed=True), status.plans(store)
    else:
        from harness.plan import plan
        from harness.sweep_file import read

        sweep = read(file)
        store = Store.open(db or sweep.where.get("db"), create=False)
        entries, _ = plan(sweep.requests)
        keys = [key for entry in entries for key in entry.keys]
        runs, attempts, plans = store.runs(keys=keys), store.attempts(), [status.of_keys(store, file, keys)]
        runs = runs[runs["outcome"] != "finished"]
        population = attempts.set_index(["cell", "task", "protocol"]).index
        attempts = attempts[population.isin([entry.id for entry in entries])]
    rows = [*status.running(attempts), *status.failures(attempts, runs)]
    if as_json:
        for row in [{"kind": "plan", **asdict(plan), "left": plan.left} for plan in plans] + rows:
            click.echo(json.dumps(row))
    else:
        _print(plans, rows)


def _print(plans: "Sequence[Standing]", rows: Sequence[dict[str, Any]]) -> None:
    from harness.cli._terminal import printing
    from harness.forecast import duration

    with printing() as console:
        for plan in plans:
            console.print(plan.name, style="bold", highlight=False, markup=False)
            console.print(plan.words(), highlight=False, soft_wrap=True)
            console.print()
        running = [row for row in rows if row["kind"] == "running"]
        console.print(f"Training now: {len(running) or 'nothing'}", style="bold", highlight=False)
        if running:
            table = _table(["done", "left", "heard of"], ["where"])
            for row in running:
                left = "?" if row["seconds_left"] is None else duration(row["seconds_left"])
                table.add_row(
                    *_names(row),
                    f"{row['progress']:.0%}",
                    left,
                    f"{duration(row['heard_of'])} ago",
                    row["owner"],
                )
            console.print(table)
        failed = [row for row in rows if row["kind"] != "running"]
        if failed:
            console.print()
            console.print(f"Failed: {len(failed)}", style="bold", highlight=False)
            table = _table([], ["outcome", "reason"])
            for row in failed[-_SHOWN:]:
                at = f" at update {row['update']}" if row["kind"] == "run" else ""
                reason = (row["reason"] or "").partition("\n")[0]
                table.add_row(*_names(row), row["outcome"] + at, Text(reason))
            console.print(table)
            if len(failed) > _SHOWN:
                console.print(
                    f"and {len(failed) - _SHOWN} before; --json has all", style="dim", highlight=False
                )


def _names(row: dict[str, Any]) -> list[Text]:
    names = [row["cell"], row["task"], row["protocol"], "mixed" if row["gap"] is None else str(row["gap"])]
    return [Text(name) for name in names]


def _table(numbers: Sequence[str], words: Sequence[str]) -> Table:
    table = Table(
        "cell", "task", "protocol", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for name in ("gap", *numbers):
        table.add_column(name, justify="right")
    for name in words:
        table.add_column(name, overflow="fold")
    return table
