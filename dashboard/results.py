"""The store as the pages see it: opened, or its absence explained; read once for each of its states."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from harness import board, exchange, stats
from harness.errors import UserError
from harness.registry import is_reference
from harness.store import Store
from harness.store.database import Database

if TYPE_CHECKING:
    from harness.store import Card

REFRESH_SECONDS = 2
WAIT_SECONDS = 1.0
"""How long a page waits for a store that another process has locked, before it says so."""


_FAILED = "failed"


class State(NamedTuple):
    """What changes whenever results do."""

    place: str
    runs: int
    retracted: int


class Curves(NamedTuple):
    """The curves of a task under a protocol, as `harness.stats` makes them."""

    points: pd.DataFrame
    summary: pd.DataFrame
    failures: list[str]


@dataclass(frozen=True)
class Results:
    """A store in one state. What is read of it is kept, for all sessions, until there are new results."""

    store: Store
    state: State

    def entries(self) -> pd.DataFrame:
        """The distinct combinations of cell, task, protocol and division."""
        return _entries(self.store, self.state)

    def protocols(self) -> list[str]:
        """The protocols under which there is a board, the one with most results first."""
        return _protocols(self.store, self.state)

    def board(self, protocol: str) -> board.Board:
        """The board of the suite under a protocol."""
        return _board(self.store, self.state, protocol)

    def curves(self, task: str | None, protocols: Sequence[str], cells: Sequence[str] | None) -> Curves:
        """The curves of these cells on a task under these protocols; None: of all cells, on all tasks."""
        chosen = None if cells is None else tuple(cells)
        parts = [_curves(self.store, self.state, task, protocol, chosen) for protocol in protocols]
        points, summaries, failures = zip(*parts, strict=True)
        return Curves(
            pd.concat(points, ignore_index=True),
            pd.concat(summaries, ignore_index=True),
            [line for lines in failures for line in lines],
        )

    def learning(self, task: str, protocol: str, cell: str) -> pd.DataFrame:
        """The learning curves of a cell's runs on a task, with what each run is of."""
        return _learning(self.store, self.state, task, protocol, cell)

    def failed(self) -> pd.DataFrame:
        """The runs that diverged or crashed."""
        return _failed(self.store, self.state)

    def references(self, cells: Iterable[str]) -> set[str]:
        """Those of the cells that say they are references."""
        return _references(self.store, self.state, tuple(cells))

    def card(self, kind: str, id: str) -> "Card | None":
        """The card of a cell or a task; None where there is none."""
        return _card(self.store, self.state, kind, id)


@st.cache_data(max_entries=4, show_spinner=False)
def _entries(_store: Store, state: State) -> pd.DataFrame:
    return _store.entries()


@st.cache_data(max_entries=4, show_spinner=False)
def _protocols(_store: Store, state: State) -> list[str]:
    return board.protocols(_entries(_store, state))


@st.cache_resource(max_entries=8, show_spinner="Ranking …")
def _board(_store: Store, state: State, protocol: str) -> board.Board:
    return board.read(_store, protocol)


@st.cache_data(max_entries=200, show_spinner=False)
def _curves(
    _store: Store, state: State, task: str | None, protocol: str, cells: tuple[str, ...] | None
) -> Curves:
    scores, runs = (read(task=task, protocol=protocol, cells=cells) for read in (_store.scores, _store.runs))
    return Curves(stats.curves(scores), stats.summary(scores, runs), stats.failures(runs))


@st.cache_data(max_entries=50, show_spinner=False)
def _learning(_store: Store, state: State, task: str, protocol: str, cell: str) -> pd.DataFrame:
    runs = _store.runs(task=task, protocol=protocol, cells=[cell])
    return _store.learning(runs["run"]).merge(runs[["run", "cell", "lr", "repetition", "gap"]], on="run")


@st.cache_data(max_entries=4, show_spinner=False)
def _failed(_store: Store, state: State) -> pd.DataFrame:
    return _store.runs(failed=True)


@st.cache_data(max_entries=50, show_spinner=False)
def _references(_store: Store, state: State, cells: tuple[str, ...]) -> set[str]:
    cards = {cell: _store.card("cell", cell) for cell in cells}
    return {cell for cell, card in cards.items() if card and is_reference(card.source)}


@st.cache_data(max_entries=1000, show_spinner=False)
def _card(_store: Store, state: State, kind: str, id: str) -> "Card | None":
    return _store.card(kind, id)


def opened(*, empty: bool = False) -> Results:
    """The store at HARNESS_DB, else `results.db` in the current folder.

    The page is drawn anew when there are new results. Where there is no store, or nothing in it, the page
    says how to get results, and ends.

    empty: a store without results will do
    """
    state = _state()
    _watch(state)
    if isinstance(state, str):
        st.error(state)
        st.stop()
    if state is None or not (state.runs or empty):
        _explain()
        st.stop()
    return Results(_store(), state)


@contextmanager
def explaining() -> Iterator[None]:
    """A store that fails while a page is drawn is one line on it, and tried again soon."""
    try:
        yield
    except UserError as error:
        st.error(str(error))
        st.session_state[_FAILED] = True


def _store() -> Store:
    return Store.open(create=False, wait=WAIT_SECONDS)


def _explain() -> None:
    """How to get results."""
    st.info("There are no results yet. This page shows them as soon as there are some.")
    if exchange.REFERENCE.is_file() and st.button("Load the reference results", type="primary"):
        try:
            with st.spinner("Reading …"):
                Store.open().add(exchange.read("reference"))
        except UserError as error:
            st.error(str(error))
        else:
            st.rerun()
    st.markdown("A first curve, in a few minutes:")
    st.code("harness run --cell gru --task gap-copy", language="bash")
    st.markdown("All published cells, one model per gap and one for all gaps, to compare side by side:")
    st.code(
        "harness run --cell all --task gap-copy\nharness run --cell all --task gap-copy --train mixed",
        language="bash",
        wrap_lines=True,
    )


def _state() -> State | str | None:
    """How much is in the store; what is wrong with it; None where there is none."""
    try:
        if Database(wait=WAIT_SECONDS).revision() is None:
            return None
        store = _store()
        counts = store.counts()
        return State(str(store.database.name), counts["runs"], counts["retracted"])
    except UserError as error:
        return str(error)


@st.fragment(run_every=REFRESH_SECONDS)
def _watch(state: State | str | None) -> None:
    """Draw the page anew when the store is no longer as it was drawn, or could not be read then."""
    if st.session_state.pop(_FAILED, False) or _state() != state:
        st.rerun()
