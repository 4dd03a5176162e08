"""The page of a cell: what it is, all its curves, how it learned, and what that took."""

from html import escape

import pandas as pd
import streamlit as st

from dashboard import choice, drawn, numbers, results
from harness.board import excuses
from harness.charts import learning_chart

_REPORTED = "They came from a file, and were not measured here."


def page() -> None:
    """Draw the page."""
    st.title("Cell")
    held = results.opened()
    entries = held.entries()
    left, right = st.columns([2, 1])
    with left:
        cell = choice.one("Cell", sorted(set(entries["cell"])), "cell")
    entries = entries[entries["cell"] == cell]
    with right:
        protocol = choice.one("Protocol", sorted(set(entries["protocol"]), key=numbers.order), "protocol")
    tasks = numbers.tasks(entries.loc[entries["protocol"] == protocol, "task"])
    points, summary, failures = held.curves(None, [protocol], [cell])
    _describe(held, cell)
    _measure(summary)
    st.subheader("Gap curves")
    address = {"protocol": protocol}
    numbers.panels(
        (
            (f"<b>{drawn.link('task', task, task=task, **address)}</b>", points[points["task"] == task])
            for task in tasks
        ),
        columns=3,
        height=220,
    )
    numbers.table(points, summary, ["task"])
    numbers.behind(points, cell)
    _learn(held, cell, tasks, protocol)
    numbers.list_failures(failures)


def _describe(held: results.Results, cell: str) -> None:
    """Its docstring with the equations and their source, its options, and its code."""
    card = held.card("cell", cell)
    if card is None:
        return
    first, _, rest = card.docstring.partition("\n")
    st.html(f"<div class=heading>{drawn.glyph(cell)} <b>{escape(cell)}</b></div>")
    st.markdown(drawn.words(first))
    if rest.strip():
        st.code(rest.strip("\n"), language=None, wrap_lines=True)
    options = ", ".join(f"{key}={value}" for key, value in card.options.items()) or "all at their defaults"
    kind = "A reference, beside the comparison. " if held.references([cell]) else ""
    st.caption(f"{kind}Version {card.version}, the hash of its source. Options: {drawn.words(options)}.")
    if checks := excuses(card):
        st.info(numbers.excused(checks, "Expected to fail, of the checks of cells"))
    with st.expander("Source"):
        st.code(card.source, language="python")


def _measure(summary: pd.DataFrame) -> None:
    """What it is made of and what it took, under the protocol."""
    sizes = summary.drop_duplicates("hidden_size")
    facts = {
        "Hidden size": sizes["hidden_size"],
        "Parameters": sizes["cell_parameters"],
        "State (floats)": sizes["state_floats"],
    }
    values = {name: " or ".join(f"{value:,}" for value in column) for name, column in facts.items()}
    values["Tasks"] = f"{summary['task'].nunique()}"
    values["Runs"] = f"{summary['runs'].sum():,}"
    values["Failed runs"] = f"{summary['failed'].sum():,}"
    if reported := summary["reported"].sum():
        values["Reported runs"] = f"{reported:,}"
    values["Training (s)"] = f"{summary['seconds'].sum():,.0f}"
    with st.container(horizontal=True, gap="medium"):
        for name, value in values.items():
            st.metric(name, value, width="content", help=_REPORTED if name == "Reported runs" else None)


def _learn(held: results.Results, cell: str, tasks: list[str], protocol: str) -> None:
    """Accuracy on validation while training, on one task."""
    st.subheader("Learning curves")
    task = choice.one("Task", tasks, "task")
    checks = held.learning(task, protocol, cell)
    if checks.empty:
        st.info("No run of these has a learning curve.")
        return
    gaps = sorted(set(checks["gap"].dropna().astype(int)))
    if gaps:
        gap = choice.one("Gap trained", [f"{gap}" for gap in gaps], "gap")
        checks = checks[checks["gap"] == int(gap)]
    st.altair_chart(learning_chart(checks))
    st.caption("Accuracy on validation, a line per run: per repetition and learning rate.")
