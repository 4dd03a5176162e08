"""`harness board`."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli._held import chosen, opened
from harness.cli._options import db_option, one_format
from harness.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.board import Board

_WIDE = 118
"""Columns from which on everything stands in one table."""


@click.command("board")
@click.option("--protocol", help="A protocol's id.  [default: the one with most results]")
@db_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object per cell.")
@click.option("--csv", "as_csv", is_flag=True, help="A line per cell.")
def command(protocol: str | None, db: str | None, as_json: bool, as_csv: bool) -> None:
    """Print the leaderboard: the cells on the whole suite under one protocol.

    The score is the mean gap-AUC over the tasks. A rank is a range where the data cannot tell cells apart;
    cells of different tie groups are told apart, each from each. An entry that lacks something has no rank,
    but the command that completes it.

    \b
    Examples:
      harness board
      harness board --protocol quick-mixed --csv
    """
    one_format(as_json, as_csv)
    from harness.board import protocols, read

    store, held = opened(db)
    offered = protocols(held)
    if not offered:
        raise UserError(
            "the store has no results on the suite: `harness run --cell all --task all` makes them"
        )
    asked = (
        offered if protocol is None else [p for p in offered if p in chosen("protocol", [protocol], offered)]
    )
    board = read(store, asked[0])
    if as_json:
        for row in board.entries():
            click.echo(json.dumps(row))
    elif as_csv:
        click.echo(board.table().to_csv(index=False), nl=False)
    else:
        _show(board, [p for p in offered if p != board.terms.protocol.id])


def _show(board: "Board", others: list[str]) -> None:
    from rich.text import Text

    from harness.cli._terminal import printing, table
    from harness.colours import colour
    from harness.stats import rank_text

    listed = board.rows[board.rows["status"] != "incomplete"]
    reached, took = _columns(board)
    with printing() as console:
        title = " · ".join(board.place.values())
        console.print(Text(f"{title} division · {len(board.terms.tasks)} tasks", style="bold"))
        for columns in ({**reached, **took},) if console.width >= _WIDE else (reached, took):
            made = table(columns, first=("rank", "tie"))
            for row in listed.itertuples():
                rank, tie = rank_text(row)
                name = Text(f"{row.cell} †" if row.reported else row.cell, style=colour(row.cell))
                made.add_row(rank, tie, name, *(text(row) for text in columns.values()))
            if len(listed):
                console.print(made)
        for note in _notes(board, listed):
            console.print(note, style="dim", highlight=False, markup=False)
        for line in _commands(board, listed, others):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _notes(board: "Board", listed: "pd.DataFrame") -> Iterator[str]:
    from harness.stats import FULL, interval_name

    names = " or ".join(map(interval_name, sorted(set(listed["repetitions"]))))
    yield "score: mean gap-AUC over the tasks, 0 chance, 1 perfect" + (f" [{names}]" if names else "")
    if listed["extrapolated"].notna().any():
        yield "trained, beyond: its parts on either side of the largest trained gap"
    yield "horizon: the median over the tasks; to solve: updates, the median over the runs that count"
    yield "rank: a range where the data cannot tell cells apart; tie groups are told apart, each from each"
    if (listed["status"] == "provisional").any():
        yield f"*: provisional, with fewer than {FULL} repetitions"
    if listed["reported"].any():
        yield "†: reported, at least in part: runs that came from a file and were not measured here"
    for cell, checks in board.expected.items():
        for check, why in checks.items():
            yield f"{cell} is expected to fail the check {check}: {why}"


def _commands(board: "Board", listed: "pd.DataFrame", others: Sequence[str]) -> Iterator[str]:
    """What makes the rows, and what completes those that are not ranked."""
    from harness.stats import FEW

    if len(listed):
        example = board.terms.command("CELL", int(listed["repetitions"].max()))
        yield f"Each row is made by, with its own cell and repetitions:\n  {example}"
    for row in board.rows[board.rows["status"].isin(["unranked", "incomplete"])].itertuples():
        lacks = f"has {row.repetitions} repetitions and needs {FEW}"
        if row.status == "incomplete":
            tasks = len(board.terms.tasks)
            lacks = f"has {tasks - len(row.missing)} of {tasks} tasks"
        yield f"{row.cell} is {row.status}, it {lacks}:\n  {row.completes}"
    if others:
        yield f"Other boards, with --protocol: {', '.join(others)}"


def _columns(board: "Board") -> tuple[dict[str, Callable[[Any], Any]], dict[str, Callable[[Any], Any]]]:
    """What a row reached and what it took, by heading."""
    from rich.text import Text

    from harness.stats import horizon_text

    smallest = [board.terms.smallest]
    reached = {
        "score": lambda row: f"{row.score:z.3f} [{row.low:z.3f}, {row.high:z.3f}]",
        "horizon": lambda row: horizon_text(row.horizon_gap, row.horizon_censored, smallest),
        "reps": lambda row: str(row.repetitions),
        "failed": lambda row: Text(str(row.failed), style="bold red" if row.failed else ""),
    }
    took = {
        "H": lambda row: str(row.hidden_size),
        "params": lambda row: f"{row.cell_parameters:,}",
        "state": lambda row: f"{row.state_floats:,}",
        "seconds": lambda row: f"{row.seconds:,.0f} {row.device}",
        "to solve": lambda row: f"{row.updates_to_solve:,.0f}" if row.updates_to_solve > 0 else "–",
    }
    if board.rows["extrapolated"].notna().any():
        parts = {
            "trained": lambda row: f"{row.trained:z.3f}",
            "beyond": lambda row: f"{row.extrapolated:z.3f}",
        }
        return reached, parts | took
    return reached, took
