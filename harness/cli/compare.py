"""`harness compare`."""

import json
from typing import TYPE_CHECKING

import click

from harness.cli._held import chosen, opened
from harness.cli._options import db_option, one_format
from harness.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.board import Board


@click.command("compare")
@click.argument("cells", nargs=2, metavar="CELL CELL")
@click.option("--protocol", help="A protocol's id.  [default: the one with most results]")
@db_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object per task, and one for the suite.")
@click.option("--csv", "as_csv", is_flag=True, help="A line per task, and one for the suite.")
def command(
    cells: tuple[str, str], protocol: str | None, db: str | None, as_json: bool, as_csv: bool
) -> None:
    """Compare two cells on each task of the suite, and over all of them.

    The difference in gap-AUC is paired by repetition: both cells of one saw the same data. From five
    repetitions on the intervals of all tasks hold together, and a cell is better where its own leaves out 0.

    \b
    Examples:
      harness compare gru lstm
      harness compare gru lstm[layers=2] --protocol quick-mixed --json
    """
    one_format(as_json, as_csv)
    from harness.board import protocols, read

    store, held = opened(db)
    first, second = (next(iter(chosen("cell", [cell], held["cell"]))) for cell in cells)
    if first == second:
        raise UserError(f"{first} is one cell: give another one to compare it with")
    offered = protocols(held, (first, second))
    if not offered:
        raise UserError(f"{first} and {second} have no results on the suite under the same protocol")
    asked = (
        offered if protocol is None else [p for p in offered if p in chosen("protocol", [protocol], offered)]
    )
    board = read(store, asked[0])
    table = board.compare(first, second)
    commands = board.rows.drop_duplicates("cell").set_index("cell")["command"]
    whole = board.place | {"first_cell": first, "second_cell": second}
    made = {"first_command": commands[first], "second_command": commands[second]}
    if as_csv:
        click.echo(
            table.assign(**whole, **made)[[*whole, *table.columns, *made]].to_csv(index=False), nl=False
        )
    elif as_json:
        plain = table.astype(object)
        for row in plain.where(plain.notna(), None).to_dict("records"):
            click.echo(json.dumps(whole | row | made))
    else:
        _show(board, table, (first, second), list(made.values()))


def _show(board: "Board", table: "pd.DataFrame", cells: tuple[str, str], commands: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.cli._terminal import printing
    from harness.colours import colour
    from harness.stats import FEW

    names = [Text(cell, style=colour(cell)) for cell in cells]
    by = dict(zip(("first", "second"), names, strict=True))
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("task", overflow="fold", min_width=12)
    for name in names:
        shown.add_column(name, justify="right", overflow="fold", max_width=14)
    for heading in ("difference", "reps"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("better", overflow="fold", max_width=14)
    for row in table.itertuples():
        task = row.task if isinstance(row.task, str) else f"all of {board.terms.suite}"
        values = ["–"] * 3
        if row.repetitions:
            values = [f"{row.first:z.3f}", f"{row.second:z.3f}"]
            values.append(f"{row.difference:+z.3f} [{row.low:+z.3f}, {row.high:+z.3f}]")
        better = by.get(row.better, "" if row.repetitions < FEW else "not told apart")
        last = not isinstance(row.task, str)
        shown.add_row(task, *values, str(row.repetitions), better, style="bold" if last else "")
    with printing() as console:
        console.print(Text(" · ".join(board.place.values()) + " division", style="bold"))
        console.print(shown)
        few = (table["repetitions"] < FEW).any()
        notes = [
            "gap-AUC on the repetitions that both have, 0 chance, 1 perfect; difference: paired by repetition"
        ]
        notes.append("[95 % interval; those of all tasks hold together]")
        if few:
            notes[-1] = f"[range; from {FEW} repetitions on a 95 % interval and a verdict]"
        for note in notes:
            console.print(note, style="dim", highlight=False, markup=False)
        for line in commands:
            console.print(f"made by: {line}", highlight=False, markup=False, soft_wrap=True)
