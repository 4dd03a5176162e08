"""`harness curves`."""

import json

import click

from harness.cli._held import chosen, opened
from harness.cli._options import db_option, one_format
from harness.errors import UserError


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
    one_format(as_json, as_csv)
    import pandas as pd

    from harness import stats

    store, held = opened(db)
    asked = {"cell": cells, "task": tasks, "protocol": protocols}
    meant = {column: chosen(column, names, held[column]) for column, names in asked.items()}
    for column, ids in meant.items():
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
        made = stats.summary(scores, runs)[[*stats.ENTRY, "command"]]
        click.echo(stats.curves(scores).merge(made, on=stats.ENTRY).to_csv(index=False), nl=False)
    else:
        from harness.cli._terminal import references_of, show

        references = references_of(store, scores["cell"])
        show(stats.curves(scores), stats.summary(scores, runs), runs, references)
