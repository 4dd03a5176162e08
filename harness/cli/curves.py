"""`harness curves`."""

import json
from typing import TYPE_CHECKING

import click

from harness.cli._options import db_option
from harness.errors import UserError, unknown
from harness.ids import Id

if TYPE_CHECKING:
    import pandas as pd


@click.command("curves")
@click.option("--cell", "cells", multiple=True, help="A cell's id. Repeatable; all if left out.")
@click.option("--task", "tasks", multiple=True, help="A task's id. Repeatable; all if left out.")
@click.option("--protocol", "protocols", multiple=True, help="A protocol's id. Repeatable; all if left out.")
@db_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object per cell, task and protocol.")
@click.option("--csv", "as_csv", is_flag=True, help="A line per cell, task, protocol and gap.")
def command(
    cells: tuple[str, ...],
    tasks: tuple[str, ...],
    protocols: tuple[str, ...],
    db: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print and plot accuracy against gap, as far as the store has it.

    Accuracy is measured on test, at the learning rate that was best on validation. The horizon is the
    largest gap up to which the lower end of the interval stays above halfway between chance and 1.

    \b
    Examples:
      harness curves --task gap-copy
      harness curves --cell gru --cell lstm[layers=2] --protocol quick --csv
    """
    if as_json and as_csv:
        raise UserError("--json and --csv: give one of them")
    import pandas as pd

    from harness import stats
    from harness.store import Store

    store = Store.open(db, create=False)
    held = store.entries()
    if held.empty:
        raise UserError(
            f"{store.database.name} holds no results yet: "
            "`harness run --cell gru --task gap-copy` makes the first"
        )
    asked = {"cell": cells, "task": tasks, "protocol": protocols}
    chosen = {column: _chosen(column, names, held[column]) for column, names in asked.items()}
    for column, ids in chosen.items():
        held = held[held[column].isin(ids)]
    if held.empty:
        raise UserError("the store has no results of these cells under these tasks and protocols")
    places = held.groupby(["task", "protocol"])["cell"].agg(list)
    read = [
        (
            store.scores(task=task, protocol=protocol, cells=of),
            store.runs(task=task, protocol=protocol, cells=of),
        )
        for (task, protocol), of in places.items()
    ]
    scores, runs = (pd.concat(frames, ignore_index=True) for frames in zip(*read, strict=True))
    if as_json:
        for entry in stats.entries(scores, runs):
            click.echo(json.dumps(entry))
    elif as_csv:
        click.echo(stats.curves(scores).to_csv(index=False), nl=False)
    else:
        from harness.cli._terminal import references_of, show

        references = references_of(store, scores["cell"])
        show(stats.curves(scores), stats.summary(scores, runs), runs, references)


def _chosen(kind: str, asked: tuple[str, ...], held: "pd.Series[str]") -> set[str]:
    """The ids held that are meant: one without a version means every version, but never other options."""
    known = set(held)
    chosen = set()
    for text in asked:
        wanted = Id.parse(text)
        found = {
            id
            for id in known
            if (other := Id.parse(id)).name == wanted.name
            and other.options == wanted.options
            and wanted.version in (None, other.version)
        }
        if not found:
            raise unknown(f"{kind} in the store", text, known)
        chosen |= found
    return chosen if asked else known
