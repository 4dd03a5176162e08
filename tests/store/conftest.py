"""Stores to test on, and runs to put into them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.store import Card, Point, RunRequest, RunResult, Score, Store

OWNER = "elsewhere:1:0"


class Make:
    """Requests, results and cards of invented cells."""

    owner = OWNER

    @staticmethod
    def request(**changes: Any) -> RunRequest:
        request = RunRequest(
            cell="lstm[layers=2]", cell_name="lstm", cell_version="a1", task="gap-copy@1", protocol="quick@1",
            division="closed", repetition=0, lr=0.003, gap=16, hidden_size=44, dtype="float32", numerics=1,
        )  # fmt: skip
        return replace(request, **changes)

    @classmethod
    def result(cls, request: RunRequest | None = None, **changes: Any) -> RunResult:
        scores = [
            Score("validation", 16, 1024, 1000, 0.125, False),
            Score("test", 16, 1024, 998, 0.125, False),
        ]
        result = RunResult(
            request=request or cls.request(), outcome="finished", outcome_update=None, reason=None,
            cell_parameters=7920, state_floats=88, updates=1000, updates_to_solve=400, gap_auc=0.96,
            seconds=2.5, provenance={"torch": "2.13", "threads": 2}, scores=scores,
            curve=[Point(100, 2.0, 0.13), Point(1000, 0.01, None)],
        )  # fmt: skip
        return replace(result, **changes)

    @classmethod
    def failed(cls, request: RunRequest) -> RunResult:
        scores = [Score(split, 16, 1024, None, 0.125, False) for split in ("validation", "test")]
        return cls.result(
            request, outcome="diverged", outcome_update=37, gap_auc=None, updates=37, updates_to_solve=None,
            scores=scores, curve=[Point(37, float("nan"), None)],
        )  # fmt: skip

    @staticmethod
    def cards(request: RunRequest) -> list[Card]:
        task, version = request.task.split("@")
        return [
            Card(
                "cell", request.cell, request.cell_version, request.cell_name, "A cell.", "…", {"layers": 2}
            ),
            Card("task", request.task, version, task, "A task.", "…", {}),
        ]

    @classmethod
    def record(cls, store: Store, *results: RunResult, owner: str | None = None) -> None:
        """What a runner does with a population, or with what is left of it."""
        claim = store.claim([result.request for result in results], owner=owner or cls.owner)
        if claim is None:
            return
        results = tuple(result for result in results if result.request.key in claim.keys)
        cards = [card for result in results for card in cls.cards(result.request)]
        store.record(claim.attempt, results, cards, (results[0].request.protocol, {"updates": 1000}))


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is no store yet: a file, or a PostgreSQL schema of its own."""
    if request.param == "sqlite":
        return str(tmp_path / "results.db")
    place: str = request.getfixturevalue("postgres_url")
    return place


@pytest.fixture
def store(url: str) -> Store:
    return Store.open(url)


@pytest.fixture
def sql(store: Store) -> Callable[[str], Any]:
    """Run a statement in the store's own database, past the store."""

    def run(statement: str) -> Any:
        with store.database.transaction(write=True) as connection:
            result = connection.exec_driver_sql(statement)
            return result.all() if result.returns_rows else None

    return run
