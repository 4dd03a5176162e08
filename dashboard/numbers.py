"""What pages of curves share: panels of charts, the numbers behind them, and what failed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.drawn import words
from harness import stats
from harness.charts import marks, panel
from harness.ids import Id
from harness.registry import suite

SHOWN = 10
"""Failed runs that a page lists."""


def order(protocol: str) -> tuple[bool, str, bool]:
    """Protocols as named before varied; fixed-gap before its mixed-gap sibling."""
    id = Id.parse(protocol)
    return bool(id.options), id.name.removesuffix("-mixed"), id.name.endswith("-mixed")


def tasks(held: Iterable[str]) -> list[str]:
    """Tasks in the order of the suite, then those beside it."""
    known = set(held)
    return [*(task for task in suite() if task in known), *sorted(known.difference(suite()))]


def panels(parts: Iterable[tuple[str, pd.DataFrame]], columns: int, height: int) -> None:
    """Charts with their headings, which are HTML, so many side by side where there is room."""
    drawn = [(heading, points) for heading, points in parts if not points.empty]
    notes = [f"Accuracy on test, mean over repetitions; {marks(points)}." for _, points in drawn]
    same = len(set(notes)) == 1
    for first in range(0, len(drawn), columns):
        row = zip(drawn[first : first + columns], notes[first:], strict=False)
        places = st.columns(min(columns, len(drawn)), gap="large")
        for place, ((heading, points), note) in zip(places, row, strict=False):
            with place:
                st.html(heading)
                st.vega_lite_chart(_spec(points, height))
                if not same:
                    st.caption(note)
    if same:
        st.caption(notes[0])


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs={pd.DataFrame: pd.DataFrame.to_csv})
def _spec(points: pd.DataFrame, height: int) -> dict[str, Any]:
    """A panel as Vega-Lite has it, which takes Altair longer to write than a browser to draw."""
    return panel(points, height=height, legend=False).to_dict()


def table(points: pd.DataFrame, summary: pd.DataFrame, first: Sequence[str]) -> None:
    """The numbers, a row per curve, and what they mean.

    first: what tells the rows apart, of cell, task and protocol
    """
    gaps = points.groupby(stats.ENTRY)["gap"].agg(list).rename("gaps").reset_index()
    rows = summary.merge(gaps, on=stats.ENTRY)
    st.subheader("Numbers")
    st.dataframe(
        pd.DataFrame(
            {name: rows[name] for name in first}
            | {
                "gap-AUC": rows["gap_auc"],
                "low": rows["gap_auc_low"],
                "high": rows["gap_auc_high"],
                "horizon": list(
                    map(stats.horizon_text, rows["horizon_gap"], rows["horizon_censored"], rows["gaps"])
                ),
                "repetitions": rows["repetitions"],
                "failed runs": rows["failed"],
                "reported runs": rows["reported"],
                "learning rate": rows["lr"].map(stats.rates_text),
                "hidden size": rows["hidden_size"],
                "parameters": rows["cell_parameters"],
                "state (floats)": rows["state_floats"],
                "training (s)": rows["seconds"],
                "command": rows["command"],
            }
        ).sort_values(
            list(reversed(first)),
            key=lambda column: column.map(order) if column.name == "protocol" else column,
        ),
        hide_index=True,
        height=35 * (min(len(rows), 20) + 1) + 3,
        column_config={first[0]: st.column_config.TextColumn(width="medium", pinned=True)}
        | {name: st.column_config.NumberColumn(format="%.3f") for name in ("gap-AUC", "low", "high")}
        | {"training (s)": st.column_config.NumberColumn(format="%.1f")},
    )
    st.caption(
        "gap-AUC: the area under the curve over log gap, 0 at chance and 1 if perfect. Low to high: "
        f"the range of the repetitions, from {stats.FEW} of them on the 95 % interval of their mean; in any "
        "case widened to hold the means that one repetition more would give, at chance or perfect. "
        "Horizon: the largest gap up to which low stays above halfway between chance and 1. Failed runs, "
        "reported runs, which came from a file and were not measured here, and seconds are of all learning "
        "rates tried."
    )


def behind(points: pd.DataFrame, name: str) -> None:
    """Every point of the curves, and a way to take them away."""
    with st.expander("Every point of the curves"):
        st.dataframe(points, hide_index=True)
    st.download_button("Download the points (CSV)", points.to_csv(index=False), f"{name}.csv", "text/csv")


def excused(checks: Mapping[str, str], who: str) -> str:
    """The checks that a cell or a task has to fail, and why, as Markdown."""
    return f"{words(who)}: " + "; ".join(f"**{words(check)}**, {words(why)}" for check, why in checks.items())


def list_failures(lines: Sequence[str]) -> None:
    """Which runs failed, as far as a page can take."""
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        listed = "\n".join(f"- {words(line)}" for line in [*lines[:SHOWN], *more])
        st.warning(f"Runs that failed, and count as chance:\n{listed}")
