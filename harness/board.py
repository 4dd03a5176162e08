"""A board out of the store: which there are, and each with its standings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import stats
from harness.ids import Id
from harness.protocol import PROTOCOLS, QUICK, QUICK_MIXED, STANDARD, STANDARD_MIXED, Protocol
from harness.registry import SUITE, expected_failures, find_task, suite, suite_id
from harness.store import Card, Store

if TYPE_CHECKING:
    import pandas as pd

_COSTS = (
    "cell_parameters",
    "state_floats",
    "runs",
    "failed",
    "reported",
    "seconds",
    "device",
    "updates_to_solve",
)


@dataclass(frozen=True)
class Board:
    """The cells of a suite under one protocol."""

    terms: stats.Terms
    rows: "pd.DataFrame"
    """A row per cell, of `harness.stats.board`."""
    standings: stats.Standings
    expected: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By cell, the checks that it has to fail, each with the reason."""

    def entries(self) -> list[dict[str, Any]]:
        """The rows as plain data, ready for JSON."""
        whole = self.rows.astype(object)
        found = []
        for row in whole.where(whole.notna(), None).to_dict("records"):
            score = {"value": row["score"], "low": row["low"], "high": row["high"]}
            if row["trained"] is not None:
                score |= {name: row[name] for name in ("trained", "extrapolated")}
            found.append(
                self.place
                | {name: row[name] for name in ("cell", "hidden_size", "status")}
                | {"rank": {"best": row["best_rank"], "worst": row["worst_rank"]}, "tie": row["tie"]}
                | {"score": score}
                | {"horizon": {"gap": row["horizon_gap"], "censored": row["horizon_censored"]}}
                | {name: row[name] for name in ("repetitions", *_COSTS, "gap_auc")}
                | {"curve": {str(gap): value for gap, value in row["curve"].items()}}
                | {"expected_failures": dict(self.expected.get(row["cell"], {}))}
                | {name: row[name] for name in ("missing", "command", "completes")}
            )
        return found

    def table(self) -> "pd.DataFrame":
        """The rows with a column for each task's gap-AUC and without curves, as a file has them."""
        import pandas as pd

        rows, tasks = self.rows, list(self.terms.tasks)
        areas = pd.DataFrame(rows["gap_auc"].tolist(), index=rows.index, columns=tasks)
        flat = rows.drop(columns=["gap_auc", "curve"]).assign(
            missing=rows["missing"].map(" ".join),
            expected_failures=[
                "; ".join(map(": ".join, self.expected.get(cell, {}).items())) for cell in rows["cell"]
            ],
        )
        for number, (name, value) in enumerate(self.place.items()):
            flat.insert(number, name, value)
        return flat.join(areas.add_prefix("gap_auc "))

    @property
    def place(self) -> dict[str, str]:
        """What it is a board of."""
        protocol = self.terms.protocol
        return {"suite": self.terms.suite, "protocol": protocol.id, "division": protocol.division}

    def compare(self, first: str, second: str) -> "pd.DataFrame":
        """Two cells, compared as by `harness.stats.pair`; where one has several widths, its best."""
        best = self.rows.drop_duplicates("cell").set_index("cell")["hidden_size"]
        one, other = (self.standings.chosen.cells.index((cell, best[cell])) for cell in (first, second))
        return stats.pair(self.standings, self.terms, one, other, _random())


def _random() -> np.random.Generator:
    """Always the same: the same results make the same board."""
    return np.random.Generator(np.random.PCG64(0))


def protocols(held: "pd.DataFrame", cells: Iterable[str] = ()) -> list[str]:
    """The ids of the protocols under which a board can be made, the one with most results first; of equals
    the one with more that can be ranked.

    held: the store's entries
    cells: all of them are to have results under it
    """
    held = held[held["task"].isin(_tasks(SUITE))]
    current = {f"{p.name}@{p.version}" for p in PROTOCOLS.values()}
    held = held[held["protocol"].map(lambda protocol: protocol.partition("[")[0]).isin(current)]
    for cell in cells:
        held = held[held["protocol"].isin(held.loc[held["cell"] == cell, "protocol"])]
    names = [p.name for p in (STANDARD, STANDARD_MIXED, QUICK, QUICK_MIXED)]
    many = held["protocol"].value_counts()
    ranked = (held["repetitions"] >= stats.FEW).groupby(held["protocol"]).sum()

    def place(protocol: str) -> tuple[Any, ...]:
        name = names.index(protocol.partition("@")[0])
        return -many[protocol], -ranked[protocol], "[" in protocol, name, protocol

    return sorted(many.index, key=place)


def read(store: Store, protocol: str, name: str = SUITE) -> Board:
    """The board of a suite under a protocol, by its canonical id; one of the ids that `protocols` gives."""
    content = store.protocol(protocol)
    assert content is not None, protocol
    terms = stats.Terms(suite_id(name), Protocol.of(content), _tasks(name))
    trials = store.trials(tasks=list(terms.tasks), protocol=protocol)
    chosen = stats.choose(trials, terms)
    tested = store.tested(chosen.runs[chosen.runs >= 0].tolist())
    standings = stats.measure(chosen, tested, terms)
    rows = stats.board(standings, trials, terms, _random())
    cards = {cell: store.card("cell", cell) for cell in rows["cell"]}
    expected = {cell: excuses(card) for cell, card in cards.items() if card}
    return Board(terms, rows, standings, {cell: checks for cell, checks in expected.items() if checks})


def excuses(card: Card) -> dict[str, str]:
    """The checks that a cell has to fail, and why, read off its source."""
    return expected_failures(card.source, Id.parse(card.id).name.partition(".")[2] or None)


@cache
def _tasks(name: str) -> dict[str, int]:
    """The canonical ids of a suite's tasks with their smallest gaps."""
    return {task.id: task.min_gap for task in map(find_task, suite(name))}
