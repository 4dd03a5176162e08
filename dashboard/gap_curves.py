"""The page of gap curves: accuracy against gap of chosen cells on a task, fixed-gap beside mixed-gap."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from dashboard import choice, drawn, numbers, results
from harness.charts import QUESTION


def page() -> None:
    """Draw the page."""
    st.title("Accuracy against gap")
    st.markdown("Over how long a gap can a recurrent cell use what it has seen?")
    held = results.opened()
    entries = held.entries()
    left, right = st.columns([1, 2])
    with left:
        task = choice.one("Task", numbers.tasks(entries["task"]), "task")
    entries = entries[entries["task"] == task]
    with right:
        offered = sorted(set(entries["protocol"]), key=numbers.order)
        protocols = choice.several("Protocols", offered, _first_pair(offered), "protocol")
    entries = entries[entries["protocol"].isin(protocols)]
    names = sorted(set(entries["cell"]))
    cells = choice.several("Cells", names, names, "cell")
    if not entries["cell"].isin(cells).any():
        st.info("Choose a protocol and a cell.")
        return
    points, summary, failures = held.curves(task, protocols, cells)
    drawn.legend(sorted(set(points["cell"])))
    parts = [(protocol, points[points["protocol"] == protocol]) for protocol in protocols]
    numbers.panels(
        (
            (f"<b>{escape(name)}</b> – {QUESTION[part['train'].iloc[0]]}", part)
            for name, part in parts
            if len(part)
        ),
        columns=2,
        height=400,
    )
    numbers.table(points, summary, ["cell", "protocol"])
    numbers.behind(points, task)
    numbers.list_failures(failures)


def _first_pair(protocols: Sequence[str]) -> list[str]:
    """The first protocol and its sibling that trains the other way, if there is one."""
    return [p for p in protocols if numbers.order(p)[:2] == numbers.order(protocols[0])[:2]][:2]
