"""A store is moved whole, whatever it is in."""

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from harness.errors import UserError
from harness.store import Store
from harness.store import copying as module
from harness.store.copying import copy
from harness.store.database import Database
from harness.store.schema import metadata


@pytest.fixture
def filled(store, make) -> Store:
    """A store with something of everything in it."""
    one, other = make.request(), make.request(cell="gru", cell_name="gru", task="nl-birthplace@2", gap=None)
    make.record(store, make.result(one), make.failed(make.request(repetition=1)))
    make.record(store, make.result(other, provenance={"π": [1, 0.1 + 0.2, None, True]}))
    store.retract(2, "the GPU was faulty")
    make.record(store, make.result(make.request(cell_version="b2"), reason="…", outcome="crashed"))
    store.end(store.claim([make.request(repetition=7)], owner=make.owner).attempt, "timed-out", "after 600 s")
    return store


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "copy.db")
    place: str = request.getfixturevalue("other_postgres_url")
    return place


def rows(store: Store) -> dict[str, list[tuple]]:
    with store.database.transaction() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }


def frames(store: Store) -> list[pd.DataFrame]:
    everything = list(range(1, 6))
    found = [store.runs(), store.scores(), store.attempts(), store.entries(), store.learning(everything)]
    trials = store.trials(tasks=["gap-copy@1"], protocol="quick@1")
    return [*found, trials, store.tested(everything)]


def test_all_of_it_is_there_and_goes_on(filled, make, target, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 3)
    before = rows(filled), frames(filled), filled.everything()
    copy(filled.database, Database(target))
    other = Store.open(target, create=False)
    assert rows(other) == before[0] == rows(filled)
    for there, here in zip(frames(other), before[1], strict=True):
        pd.testing.assert_frame_equal(there, here)
    assert other.everything() == before[2]
    make.record(other, make.result(make.request(repetition=8)))
    assert other.counts() == {"runs": 4, "retracted": 1, "attempts": 5}
    assert other.counts()["runs"] == filled.counts()["runs"] + 1


def test_it_is_all_or_nothing(filled, target, monkeypatch):
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    database = Database(target)
    monkeypatch.setattr(
        database, "migrate", lambda connection: (Database.migrate(database, connection), fails())
    )
    with pytest.raises(KeyboardInterrupt):
        copy(filled.database, database)
    assert Database(target).revision() is None
    copy(filled.database, Database(target))
    assert rows(Store.open(target)) == rows(filled)


def test_what_is_there_is_left_alone(filled, target):
    copy(filled.database, Database(target))
    with pytest.raises(UserError, match="is not empty: a store is copied to where there is nothing yet"):
        copy(filled.database, Database(target))
    with pytest.raises(UserError, match="is not empty"):
        copy(filled.database, filled.database)
    assert rows(Store.open(target)) == rows(filled)
