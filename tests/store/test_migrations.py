"""Revisions: what was stored by an older harness stays readable.

`golden/` holds a store as each revision wrote it. It is never written anew.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from harness.errors import UserError
from harness.store import Store, schema
from harness.store import database as module
from harness.store.database import Database

GOLDEN = sorted(Path(__file__).parent.glob("golden/*.sql"))
MIGRATIONS = Path(module.__file__).parent / "migrations"


def load(dump: Path, file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    return str(file)


def shape(file: str) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        return {(name, " ".join(sql.split())) for name, sql in connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")}  # fmt: skip


def test_every_revision_has_its_golden_store_and_the_newest_is_the_schemas():
    revisions = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert [dump.stem for dump in GOLDEN] == revisions
    assert revisions[-1] == schema.REVISION


def test_the_migrations_lead_to_the_schema(store):
    with store.database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def carry(file: str, revision: str, database: Database) -> None:
    """What is in a SQLite store of a revision, into an empty database of any kind."""
    tables, golden = sa.MetaData(), sa.create_engine(f"sqlite:///{file}")
    tables.reflect(golden)
    with database.transaction(write=True) as into, golden.connect() as out:
        module._migrate(into, revision)
        for table in tables.sorted_tables:
            if table.name != "alembic_version" and (rows := out.execute(sa.select(table)).mappings().all()):
                into.execute(table.insert(), [dict(row) for row in rows])


@pytest.mark.parametrize("dump", GOLDEN, ids=lambda dump: dump.stem)
def test_an_upgraded_store_is_like_a_new_one(dump, tmp_path):
    old, new = load(dump, tmp_path / "old.db"), str(tmp_path / "new.db")
    Database(old).upgrade()
    Store.open(new)
    assert shape(old) == shape(new)


@pytest.mark.parametrize("dump", GOLDEN, ids=lambda dump: dump.stem)
def test_an_upgraded_store_keeps_what_it_holds(dump, tmp_path, url):
    carry(load(dump, tmp_path / "old.db"), dump.stem, Database(url))
    assert Database(url).revision() == dump.stem
    Database(url).upgrade()
    store = Store.open(url)
    with store.database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    assert store.counts() == {"runs": 3, "retracted": 1, "attempts": 3}
    runs = store.runs()
    assert list(runs["outcome"]) == ["finished", "diverged", "finished"]
    assert list(runs["cell"]) == ["lstm[layers=2]", "lstm[layers=2]", "gru"]
    assert store.finished(["cb94dcd37c8c6f13c35a3f9a9a7f19baabe55a52c36b7305a7db83a66bdd4d50"])
    scores = store.scores(cells=["gru"])
    assert [*scores[["split", "gap", "n", "n_correct"]].itertuples(index=False, name=None)] == [
        ("test", 16, 1024, 998.0), ("validation", 16, 1024, 1000.0)
    ]  # fmt: skip
    assert list(store.learning([1])["update"]) == [100, 1000]
    assert list(store.attempts()["outcome"]) == ["finished", "finished", "timed-out"]
    assert store.card("cell", "gru").options == {"layers": 2}
    if dump.stem >= "0002":
        (plan,) = store.plans().plans.itertuples()
        assert (plan.name, plan.runs, plan.done, plan.failed, plan.left) == ("sweep.toml", 5, 3, 1, 5.0)


def test_upgrading_twice_is_upgrading_once(store, make):
    make.record(store, make.result())
    store.database.upgrade()
    assert store.counts()["runs"] == 1


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("0000", "run `harness db upgrade --db "),
        ("9999", "newer than this harness .*pip install --upgrade recurrent-harness"),
    ],
)
def test_another_revision_is_named_with_what_mends_it(store, url, sql, revision, said):
    sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    for create in (True, False):
        with pytest.raises(UserError, match=f"is at revision {revision}.*{said}"):
            Store.open(url, create=create)


def test_a_newer_store_is_not_upgraded(store, sql):
    sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="newer than this harness"):
        store.database.upgrade()


def test_a_creation_that_fails_leaves_no_half_a_store(url, monkeypatch, make):
    real = module._migrate

    def half(connection):
        real(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_migrate", half)
    with pytest.raises(KeyboardInterrupt):
        Store.open(url)
    monkeypatch.undo()
    assert Database(url).revision() is None
    store = Store.open(url)
    make.record(store, make.result())
    assert store.counts()["runs"] == 1
