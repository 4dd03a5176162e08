"""The page of the leaderboard: the cells on the whole suite under one protocol."""

import json
from collections.abc import Collection, Iterator
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import choice, drawn, numbers, results
from harness.board import Board
from harness.charts import QUESTION
from harness.stats import FEW, FULL, horizon_text, interval_name, rank_text

_STATUSES = ("full", "provisional", "unranked", "incomplete")
_ORDERS = {
    "rank": (["place"], True),
    "score": (["score"], False),
    "horizon": (["horizon_gap", "horizon_censored"], False),
    "parameters": (["cell_parameters"], True),
    "state floats": (["state_floats"], True),
    "training seconds": (["seconds"], True),
    "updates to solve": (["updates_to_solve"], True),
    "failed runs": (["failed"], False),
    "name": (["cell"], True),
}
"""What the rows can be sorted by: columns, and whether the least comes first. Nulls come last."""
_ANY = "any"
_MOST = 30
"""Rows with a number for every task: a browser takes its time with more."""


def page() -> None:
    """Draw the page."""
    st.title("Leaderboard")
    held = results.opened()
    offered = held.protocols()
    if not offered:
        st.info("There are no results on the suite yet; what there is, Gap curves shows. This makes some:")
        st.code("harness run --cell all --task all", language="bash")
        return
    with st.columns(2)[0]:
        protocol = choice.one("Protocol", offered, "protocol")
    board = held.board(protocol)
    train = board.terms.protocol.train
    st.markdown(
        f"**{' · '.join(board.place.values())} division** – {len(board.terms.tasks)} tasks, {QUESTION[train]}"
    )
    rows = _chosen(board)
    if rows.empty:
        st.info("No cell is as the filters ask for.")
    else:
        columns = _columns(board, held.references(rows["cell"]))
        made = ([text(row) for _, text in columns.values()] for row in rows.itertuples())
        drawn.table({name: what for name, (what, _) in columns.items()}, made, 3, f"Leaderboard, {protocol}")
    _explain(board, len(rows))
    _download(board, rows, held.state)
    _completions(rows, len(board.terms.tasks))
    _areas(board, rows)
    _commands(rows)


def _chosen(board: Board) -> pd.DataFrame:
    """The rows that the filters leave, in the order chosen; ranks are those of the whole board."""
    rows = board.rows.assign(place=range(len(board.rows)))
    sizes = [f"{2**power}" for power in range(20) if rows["state_floats"].min() <= 2**power]
    enough = next((i for i, size in enumerate(sizes) if int(size) >= rows["state_floats"].max()), len(sizes))
    with st.expander("Filter and sort", expanded=bool(set(st.query_params) - {"protocol"})):
        first, second, third, fourth = st.columns(4)
        with first:
            order = choice.one("Sort by", list(_ORDERS), "sort")
        with second:
            wanted = choice.text("Name contains", "find", "lstm")
        with third:
            statuses = choice.several("Status", _STATUSES, _STATUSES, "status")
        with fourth:
            most = choice.one("State floats, at most", [_ANY, *sizes[:enough]], "state")
    rows = rows[rows["status"].isin(statuses) & rows["cell"].str.contains(wanted, case=False, regex=False)]
    if most != _ANY:
        rows = rows[rows["state_floats"] <= int(most)]
    by, ascending = _ORDERS[order]
    return rows.sort_values([*by, "place"], ascending=[ascending] * len(by) + [True], na_position="last")


def _columns(board: Board, references: Collection[str]) -> dict[str, tuple[str, Any]]:
    """What each column means, and its text for a row, by heading."""
    terms = board.terms
    gaps, trained = terms.protocol.gaps, terms.protocol.max_gap
    columns: dict[str, tuple[str, Any]] = {
        "rank": ("A range, where the data cannot tell cells apart", lambda row: rank_text(row)[0]),
        "tie": (
            "Cells of different tie groups are told apart, each from each",
            lambda row: rank_text(row)[1],
        ),
        "cell": (
            "Leads to its page",
            lambda row: (
                drawn.name(row.cell, protocol=terms.protocol.id)
                + "".join(_marks(row, board, row.cell in references))
            ),
        ),
        "score": (
            "Mean gap-AUC over the tasks, from chance, 0, to perfect, 1; and how sure it is",
            lambda row: (
                f"{row.score:z.3f} <small>[{row.low:z.3f}, {row.high:z.3f}]</small>"
                if row.score == row.score
                else "–"
            ),
        ),
        "0 to 1": (
            "The score and its interval",
            lambda row: drawn.score(row.cell, row.score, row.low, row.high) if row.score == row.score else "",
        ),
        "gap curve": (
            f"Mean normalised accuracy over the tasks, against gaps {gaps[0]} to {gaps[-1]} on a log scale",
            lambda row: drawn.curve(row.cell, row.curve, gaps, trained),
        ),
    }
    if board.rows["extrapolated"].notna().any():
        columns |= {
            "trained": ("The score up to the largest trained gap", lambda row: _number(row.trained, "z.3f")),
            "beyond": ("The score beyond it", lambda row: _number(row.extrapolated, "z.3f")),
        }
    return columns | {
        "horizon": (
            "The largest gap that is held, in tokens: the median over the tasks",
            lambda row: escape(horizon_text(row.horizon_gap, row.horizon_censored, [terms.smallest])),
        ),
        "status": (
            f"And repetitions, or tasks: full from {FULL} repetitions on, provisional from {FEW}",
            lambda row: _status(row, len(terms.tasks)),
        ),
        "hidden size": ("Units of a layer", lambda row: f"{row.hidden_size:,}"),
        "parameters": ("Of the cell alone", lambda row: f"{row.cell_parameters:,}"),
        "state floats": ("What it carries from token to token", lambda row: f"{row.state_floats:,}"),
        "training (s)": (
            "Seconds of all runs, with the device; never ranked",
            lambda row: f"{row.seconds:,.0f} <small>{escape(row.device)}</small>",
        ),
        "updates to solve": (
            "The median over the runs that count",
            lambda row: _number(row.updates_to_solve, ",.0f"),
        ),
        "failed": (
            "Runs that diverged or crashed, and count as chance",
            lambda row: f"<span class=bad>{row.failed} of {row.runs:,}</span>" if row.failed else "0",
        ),
    }


def _marks(row: Any, board: Board, reference: bool) -> Iterator[str]:
    """What stands beside a cell's name."""
    if reference:
        yield drawn.mark("reference", "Beside the comparison")
    if row.reported:
        what = f"{row.reported:,} of {row.runs:,} runs came from a file and were not measured here"
        yield drawn.mark("reported" if row.reported == row.runs else "partly reported", what)
    if expected := board.expected.get(row.cell):
        why = "; ".join(f"{check}: {reason}" for check, reason in expected.items())
        yield drawn.mark("expected failure", f"Has to fail a check of cells: {why}")


def _number(value: float, format: str) -> str:
    return f"{value:{format}}" if value == value else "–"


def _status(row: Any, tasks: int) -> str:
    beside = f"{row.repetitions}"
    if row.status == "incomplete":
        beside = f"{tasks - len(row.missing)} of {tasks} tasks"
    return f"{row.status} <small>({beside})</small>"


def _explain(board: Board, shown: int) -> None:
    """How the table is to be read."""
    listed = board.rows[board.rows["repetitions"] > 0]
    names = " or ".join(map(interval_name, sorted(set(listed["repetitions"]))))
    hidden = f" {len(board.rows) - shown} cells are filtered out." if shown < len(board.rows) else ""
    st.caption(
        "Score: mean gap-AUC over the tasks, 0 is chance and 1 perfect"
        + (f"; in brackets: {names}. " if names else ". ")
        + "Rank: a range where the data cannot tell cells apart, among all cells of the board. "
        f"With fewer than {FEW} repetitions there is no rank; \\*: provisional, with fewer than {FULL}."
        + (" Reported: came from a file, not measured here." if board.rows["reported"].any() else "")
        + hidden
    )
    for cell, checks in board.expected.items():
        st.caption(numbers.excused(checks, f"{cell} is expected to fail"))


def _download(board: Board, rows: pd.DataFrame, state: results.State) -> None:
    """What is shown, as a file."""
    protocol = board.terms.protocol.id
    table, lines = _files(board, state, protocol, tuple(rows["place"]))
    name = f"leaderboard-{protocol}"
    with st.container(horizontal=True):
        st.download_button("Download (CSV)", table, f"{name}.csv", "text/csv")
        st.download_button("Download (JSON Lines)", lines, f"{name}.jsonl", "application/jsonl")


@st.cache_data(max_entries=20, show_spinner=False)
def _files(_board: Board, state: results.State, protocol: str, place: tuple[int, ...]) -> tuple[str, str]:
    """These rows as CSV and as JSON Lines."""
    entries = _board.entries()
    lines = "".join(f"{json.dumps(entries[i])}\n" for i in place)
    return _board.table().iloc[list(place)].to_csv(index=False), lines


def _completions(rows: pd.DataFrame, tasks: int) -> None:
    """What entries lack, and the commands that complete them."""
    short = rows[rows["completes"].notna()]
    if len(short):
        with st.expander(f"What completes {_counted(short)}"):
            drawn.commands(_lacking(short, tasks))


def _counted(rows: pd.DataFrame) -> str:
    counts = rows["status"].value_counts()
    return ", ".join(
        f"{counts[status]} {status} {'entry' if counts[status] == 1 else 'entries'}"
        for status in _STATUSES
        if status in counts
    )


def _lacking(rows: pd.DataFrame, tasks: int) -> Iterator[str]:
    for row in rows.itertuples():
        lacks = f"has {row.repetitions} repetitions, a rank needs {FEW}"
        if row.status == "incomplete":
            lacks = f"has {tasks - len(row.missing)} of {tasks} tasks"
        elif row.status == "provisional":
            lacks = f"has {row.repetitions} repetitions, a full entry needs {FULL}"
        yield f"# {row.cell} is {row.status}: it {lacks}"
        yield row.completes


def _areas(board: Board, rows: pd.DataFrame) -> None:
    """The gap-AUC of the cells on every task, shaded."""

    def area(task: str, value: float) -> str:
        share = round(100 * min(max(value, 0), 1))
        return f'<span class=area style="--share: {share}%">{value:z.2f}</span>'

    st.subheader("Task by task")
    protocol = board.terms.protocol.id
    headings = {"cell": "Leads to its page"} | {
        task.partition("@")[0]: f"gap-AUC on {task}" for task in board.terms.tasks
    }
    made = [
        [drawn.name(row.cell, protocol=protocol)]
        + [area(task, row.gap_auc[task]) if task in row.gap_auc else "–" for task in board.terms.tasks]
        for row in rows.head(_MOST).itertuples()
    ]
    drawn.table(headings, made, 1, "gap-AUC of the cells on every task")
    more = f" The first {_MOST} of {len(rows)} rows; downloads have all." if len(rows) > _MOST else ""
    st.caption(f"gap-AUC on each task of the suite, the mean over repetitions: 0 is chance, 1 perfect.{more}")


def _commands(rows: pd.DataFrame) -> None:
    """What makes every row as it is."""
    with st.expander("Commands that make these rows"):
        drawn.commands(rows["command"])
