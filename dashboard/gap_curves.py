"""The page of gap curves: accuracy against gap of chosen cells on a task, fixed-gap beside mixed-gap."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard import choice, results
from harness import stats
from harness.charts import QUESTION, marks, panel
from harness.colours import look
from harness.ids import Id

if TYPE_CHECKING:
    from harness.store import Store

_GLYPHS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "triangle-down": "▼",
    "cross": "+",
}


def page() -> None:
    """Draw the page."""
    st.title("Accuracy against gap")
    st.markdown("Over how long a gap can a recurrent cell use what it has seen?")
    store = results.opened()
    entries = store.entries()
    left, right = st.columns([1, 2])
    with left:
        task = choice.one("Task", sorted(set(entries["task"])), "task")
    entries = entries[entries["task"] == task]
    with right:
        offered = sorted(set(entries["protocol"]), key=_order)
        protocols = choice.several("Protocols", offered, _first_pair(offered), "protocol")
    entries = entries[entries["protocol"].isin(protocols)]
    names = sorted(set(entries["cell"]))
    cells = choice.several("Cells", names, names, "cell")
    if not entries["cell"].isin(cells).any():
        st.info("Choose a protocol and a cell.")
        return
    scores, runs = _read(store, task, protocols, cells)
    points, summary = stats.curves(scores), stats.summary(scores, runs)
    _draw(points, protocols)
    _tabulate(points, summary, task)
    _list_failures(stats.failures(runs))


def _order(protocol: str) -> tuple[bool, str, bool]:
    """As named before varied; fixed-gap before its mixed-gap sibling."""
    id = Id.parse(protocol)
    return bool(id.options), id.name.removesuffix("-mixed"), id.name.endswith("-mixed")


def _first_pair(protocols: Sequence[str]) -> list[str]:
    """The first protocol and its sibling that trains the other way, if there is one."""
    return [p for p in protocols if _order(p)[:2] == _order(protocols[0])[:2]][:2]


def _read(
    store: "Store", task: str, protocols: Sequence[str], cells: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores and the runs of these cells on a task under these protocols."""
    scores = [store.scores(task=task, protocol=protocol, cells=cells) for protocol in protocols]
    runs = [store.runs(task=task, protocol=protocol, cells=cells) for protocol in protocols]
    return pd.concat(scores, ignore_index=True), pd.concat(runs, ignore_index=True)


def _draw(points: pd.DataFrame, protocols: Sequence[str]) -> None:
    """A panel for each protocol, two side by side where there is room."""
    _name_cells(sorted(set(points["cell"])))
    parts = [(protocol, points[points["protocol"] == protocol]) for protocol in protocols]
    parts = [(protocol, part) for protocol, part in parts if not part.empty]
    for pair in (parts[i : i + 2] for i in range(0, len(parts), 2)):
        for place, (protocol, part) in zip(st.columns(len(pair), gap="large"), pair, strict=True):
            with place:
                st.markdown(f"**{protocol}** – {QUESTION[part['train'].iloc[0]]}")
                st.altair_chart(panel(part, height=400, legend=False))
                st.caption(f"Accuracy on test, mean over repetitions; {marks(part)}.")


def _name_cells(cells: Sequence[str]) -> None:
    """The legend, once for all panels; as text it wraps where the page is narrow."""
    items = []
    for cell in cells:
        colour, shape = look(cell)
        glyph = f'<b style="color: {colour}">{_GLYPHS[shape]}</b>'
        items.append(f'<div style="overflow-wrap: anywhere">{glyph} {escape(cell)}</div>')
    st.html(f'<div style="display: flex; flex-wrap: wrap; column-gap: 1.5rem">{"".join(items)}</div>')


def _tabulate(points: pd.DataFrame, summary: pd.DataFrame, task: str) -> None:
    """The numbers, a row per curve and a row per point, and a way to take them away."""
    gaps = points.groupby(stats.ENTRY)["gap"].agg(list).rename("gaps").reset_index()
    rows = summary.merge(gaps, on=stats.ENTRY)
    st.subheader("Numbers")
    st.dataframe(
        pd.DataFrame(
            {
                "cell": rows["cell"],
                "protocol": rows["protocol"],
                "gap-AUC": rows["gap_auc"],
                "low": rows["gap_auc_low"],
                "high": rows["gap_auc_high"],
                "horizon": list(
                    map(stats.horizon_text, rows["horizon_gap"], rows["horizon_censored"], rows["gaps"])
                ),
                "repetitions": rows["repetitions"],
                "failed runs": rows["failed"],
                "learning rate": rows["lr"].map(stats.rates_text),
                "hidden size": rows["hidden_size"],
                "parameters": rows["cell_parameters"],
                "state (floats)": rows["state_floats"],
                "training (s)": rows["seconds"],
            }
        ).sort_values(
            ["protocol", "cell"],
            key=lambda column: column.map(_order) if column.name == "protocol" else column,
        ),
        hide_index=True,
        height=35 * (min(len(rows), 20) + 1) + 3,
        column_config={"cell": st.column_config.TextColumn(width="medium")}
        | {name: st.column_config.NumberColumn(format="%.3f") for name in ("gap-AUC", "low", "high")}
        | {"training (s)": st.column_config.NumberColumn(format="%.1f")},
    )
    st.caption(
        "gap-AUC: the area under the curve over log gap, 0 at chance and 1 if perfect. Low to high: "
        f"the range of the repetitions, from {stats.FEW} of them on the 95 % interval of their mean; in any "
        "case widened to hold the means that one repetition more would give, at chance or perfect. "
        "Horizon: the largest gap up to which low stays above halfway between chance and 1. Failed runs "
        "and seconds are of all learning rates tried."
    )
    with st.expander("Every point of the curves"):
        st.dataframe(points, hide_index=True)
    st.download_button("Download the points (CSV)", points.to_csv(index=False), f"{task}.csv", "text/csv")


def _list_failures(lines: Sequence[str]) -> None:
    """Which runs failed, as far as a page can take."""
    if lines:
        more = [f"and {len(lines) - 10} more"] if len(lines) > 10 else []
        listed = "\n".join(f"- {escape(line)}" for line in [*lines[:10], *more])
        st.warning(f"Runs that failed, and count as chance:\n{listed}")
