"""Where stores are, and what is said when one cannot be used."""

import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.store import Store
from harness.store import database as module
from harness.store.database import Database


def test_a_store_is_where_one_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    assert Database().path == Path("results.db")
    monkeypatch.setenv("HARNESS_DB", "shared.db")
    assert Database().path == Path("shared.db")
    assert Database("mine.db").path == Path("mine.db")
    assert Database(f"sqlite:///{tmp_path}/x.db").path == tmp_path / "x.db"
    assert Database("postgresql://ada:secret@host/results").path is None
    assert not list(tmp_path.iterdir())


def test_reading_makes_no_store(url):
    with pytest.raises(UserError, match=r"there is no store at .* yet: `harness run .*` makes one"):
        Store.open(url, create=False)
    assert Database(url).revision() is None
    Store.open(url)
    Store.open(url, create=False)


def test_a_missing_file_is_not_made_by_looking(tmp_path):
    with pytest.raises(UserError):
        Store.open(str(tmp_path / "x.db"), create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("postgresql://host:port/results", "host:port/results is not a database's URL: write results.db"),
        ("://", ":// is not a database's URL"),
        ("mysql://host/results", "mysql://host/results: a store is in SQLite or PostgreSQL"),
        ("postgres://host/results", "postgres://host/results: a store is in SQLite or PostgreSQL, postgresql://"),
        ("sqlite://", "sqlite:// names no database"),
        ("sqlite:///:memory:", "sqlite:///:memory: names no database"),
        ("nowhere/results.db", "there is no folder .*nowhere to put the store results.db in"),
        ("postgresql://ada:secret@127.0.0.1:1/results", r"ada:\*\*\*@127.0.0.1:1/results cannot be used"),
    ],
)  # fmt: skip
def test_a_place_that_is_none(where, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as error:
        Store.open(where)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "where", ["mysql://ada:secret@h/x", "postgresql://ada:secret@h:p/x", "postgresql://ada:secret@h"]
)
def test_no_password_is_ever_shown(where):
    with pytest.raises(UserError) as error:
        Database(where)
    assert "secret" not in str(error.value)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        UserError, match=r"needs the driver psycopg: pip install 'recurrent-harness\[postgres\]'"
    ):
        Database("postgresql://host/results")


@pytest.mark.parametrize("content", [b"Not a database. " * 100, b"SQLite format 3\x00" + b"\xff" * 4080])
def test_a_file_that_is_no_database(tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    for create in (True, False):
        with pytest.raises(UserError, match=r"notes\.txt is not a store: file is not a database"):
            Store.open(str(file), create=create)
    assert file.read_bytes() == content


def test_another_programs_database_is_left_alone(url):
    with Database(url).transaction(write=True) as connection:
        connection.exec_driver_sql("CREATE TABLE recipes (id INTEGER)")
    for act in (Store.open, lambda url: Database(url).upgrade()):
        with pytest.raises(UserError, match="is not a store: it holds other tables"):
            act(url)
    with Database(url).transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM recipes").scalar() == 0


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(UserError, match=r"is a folder: name a file in it, as in .*/results\.db"):
        Store.open(str(tmp_path))


def test_a_store_that_is_read_only_can_be_read(tmp_path, make):
    file = tmp_path / "results.db"
    make.record(Store.open(str(file)), make.result())
    store = Store.open(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert len(store.runs()) == 1
    more = make.result(make.request(repetition=1))
    for write in (lambda: store.retract(1, "why"), lambda: make.record(store, more)):
        with pytest.raises(UserError, match="is read-only: copy it to where you may write"):
            write()


def test_readers_do_not_wait_for_a_writer_and_other_writers_do_not_wait_for_ever(tmp_path, make, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    store = Store.open(str(tmp_path / "results.db"))
    make.record(store, make.result())
    store.claim([make.request(repetition=1)], owner=make.owner)
    with store.database.transaction(write=True) as connection:
        connection.exec_driver_sql("UPDATE attempts SET progress = 0.5")
        assert len(store.runs()) == 1
        assert list(store.attempts()["progress"]) == [1.0, 0.0]
        with pytest.raises(UserError, match="is locked by another process: try again when that has ended"):
            store.beat({1: 0.7})
    store.beat({1: 0.7})


def test_who_only_reads_cannot_write(tmp_path, make):
    store = Store.open(str(tmp_path / "results.db"))
    make.record(store, make.result())
    with pytest.raises(UserError, match="read-only"), store.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE attempts SET progress = 0.5")
    assert list(store.attempts()["progress"]) == [1.0]


def test_a_network_file_system_is_told(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\nserver:/home /net nfs4 rw 0 0\n/dev/sda /net/local\\040disk ext4 rw 0 0\n"
    )
    for path, network in (
        ("/home/results.db", None),
        ("/net/ada/results.db", "nfs4"),
        ("/net/local disk/results.db", None),
        ("/network/results.db", None),
    ):
        assert module._network(Path(path), mounts) == network
    assert module._network(Path("/net/results.db"), tmp_path / "no such file") is None


def journal(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def test_the_journal_is_no_log_and_one_that_was_becomes_none(tmp_path, make):
    file = tmp_path / "results.db"
    store = Store.open(str(file))
    make.record(store, make.result())
    assert journal(file) == "delete"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert len(store.runs()) == 1
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        make.record(store, make.result(make.request(repetition=1)))
        assert journal(file) == "wal"  # it is not alone with it
    assert len(store.runs()) == 2
    make.record(store, make.result(make.request(repetition=2)))
    assert journal(file) == "delete"
    assert len(store.runs()) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["results.db"]


def test_sqlite_keeps_what_is_committed_and_what_belongs_together(tmp_path):
    store = Store.open(str(tmp_path / "results.db"))
    for write in (False, True):
        with store.database.transaction(write=write) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_what_is_read_at_once_is_one_state(store, make):
    """Whatever is recorded meanwhile. (In SQLite that waits: here it is recorded by someone impatient.)"""
    make.record(store, make.result())
    hurried = Store.open(str(store.database.url.render_as_string(hide_password=False)), wait=0.05)

    def read(connection):
        first = connection.exec_driver_sql("SELECT count(*) FROM runs").scalar()
        with suppress(UserError):
            make.record(hurried, make.result(make.request(repetition=1)))
        return first, connection.exec_driver_sql("SELECT count(*) FROM runs").scalar()

    assert store.database.read(read) == (1, 1)


def test_a_store_at_rest_is_one_file(tmp_path, make):
    make.record(Store.open(str(tmp_path / "results.db")), make.result())
    assert [file.name for file in tmp_path.iterdir()] == ["results.db"]


def test_importing_the_store_is_light():
    light = (
        "import sys, harness.store; assert not {'torch', 'pandas', 'alembic', 'psycopg'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", light], check=True)
