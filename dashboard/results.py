"""The store as the pages see it: opened, or its absence explained; and the watch for new results."""

import streamlit as st

from harness.errors import UserError
from harness.store import Store
from harness.store.database import Database

REFRESH_SECONDS = 2


def opened() -> Store:
    """The store at HARNESS_DB, else `results.db` in the current folder.

    Where there is none, or nothing in it, the page says how to get results, and ends.
    """
    state = _state()
    _watch(state)
    if isinstance(state, str):
        st.error(state)
        st.stop()
    if state is None or not state["runs"]:
        _explain()
        st.stop()
    return Store.open(create=False)


def _explain() -> None:
    """How to get results."""
    st.info("There are no results yet. This page shows them as soon as there are some.")
    st.markdown("A first curve, in a few minutes:")
    st.code("harness run --cell gru --task gap-copy", language="bash")
    st.markdown("All published cells, one model per gap and one for all gaps, to compare side by side:")
    st.code(
        "harness run --cell all --task gap-copy\nharness run --cell all --task gap-copy --train mixed",
        language="bash",
        wrap_lines=True,
    )


def _state() -> dict[str, int] | str | None:
    """How much is in the store; what is wrong with it; None where there is none."""
    try:
        if Database().revision() is None:
            return None
        return Store.open(create=False).counts()
    except UserError as error:
        return str(error)


@st.fragment(run_every=REFRESH_SECONDS)
def _watch(state: dict[str, int] | str | None) -> None:
    """Draw the page anew when the store is no longer as it was drawn."""
    if _state() != state:
        st.rerun()
