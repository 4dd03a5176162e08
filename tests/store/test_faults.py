"""What goes wrong around a store: a full disk, a place where nobody may write, a lost connection."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres import Server

from harness.errors import UserError
from harness.store import Store
from harness.store import database as module

MEGABYTES = 2


class Disk:
    """A small file system, which can be filled, or written no more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mounted, where one may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    if not shutil.which("mount") or not disk.mount(f"size={MEGABYTES}m"):
        pytest.skip("needs to mount a file system: only root may")
    yield disk
    subprocess.run(["umount", str(folder)], check=True)


def healthy(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        checks = ("PRAGMA integrity_check", "PRAGMA foreign_key_check")
        return [connection.execute(check).fetchall() for check in checks] == [[("ok",)], []]


def fill(store: Store, make, acknowledged: list[int]) -> None:
    """Record runs until that cannot be done."""
    while True:
        repetition = len(acknowledged)
        make.record(store, make.result(make.request(repetition=repetition), reason="x" * 20_000))
        acknowledged.append(repetition)


def full_and_on(store: Store, make, room: Callable[[], None]) -> None:
    """A store that has become full keeps what it said it has, and goes on when there is room."""
    acknowledged: list[int] = []
    with pytest.raises(UserError, match=r"cannot grow, its disk is full: .* make room") as error:
        fill(store, make, acknowledged)
    assert "\n" not in str(error.value)
    assert len(acknowledged) > 3
    assert store.runs()["repetition"].tolist() == acknowledged
    assert len(store.scores()) == 2 * len(acknowledged)
    room()
    more = make.result(make.request(repetition=len(acknowledged)))
    make.record(store, more)
    assert len(store.runs()) == len(acknowledged) + 1
    assert healthy(store.database.path)


def test_a_full_disk(disk, make):
    filler = disk.folder / "filler"
    filler.write_bytes(b"x" * (MEGABYTES << 19))
    full_and_on(Store.open(str(disk.folder / "results.db")), make, filler.unlink)


def test_a_database_that_may_not_grow(tmp_path, make):
    """The error of a full disk, wherever this runs."""
    store = Store.open(str(tmp_path / "results.db"))
    most = 100

    def limit(connection, record):
        connection.execute(f"PRAGMA max_page_count = {most}")

    sa.event.listen(store.database._writer, "connect", limit)

    def room() -> None:
        nonlocal most
        most = 1_000_000

    full_and_on(store, make, room)


def test_a_read_only_file_system(disk, make):
    place = str(disk.folder / "results.db")
    make.record(Store.open(place), make.result())
    assert disk.mount("remount,ro")
    store = Store.open(place)
    assert len(store.runs()) == len(store.entries()) == 1
    for write in (
        lambda: store.retract(1, "why"),
        lambda: make.record(store, make.result(make.request(repetition=1))),
        lambda: Store.open(str(disk.folder / "other.db")),
    ):
        with pytest.raises(UserError, match=r"is read-only|cannot be used: unable to open") as error:
            write()
        assert "\n" not in str(error.value)


def test_a_store_whose_writer_was_killed_in_writing_can_be_read(tmp_path, make):
    """A journal is left with what was there before: who reads puts it back, as who writes does."""
    file, left = tmp_path / "results.db", tmp_path / "left.db"
    make.record(Store.open(str(file)), make.result())
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE half (x)")
        connection.executemany("INSERT INTO half VALUES (?)", [("x" * 1000,)] * 500)
        shutil.copy(f"{file}-journal", f"{left}-journal")
        shutil.copy(file, left)
    store = Store.open(str(left), create=False)
    assert len(store.runs()) == 1
    assert not Path(f"{left}-journal").exists()
    assert healthy(left)


@pytest.fixture
def own(require_postgres) -> Iterator[Server]:
    """A server that a test may stop and start."""
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def quick(monkeypatch) -> None:
    """Lost connections are tried again soon, and given up soon."""
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.05, 0.1, 0.2))


def test_a_connection_that_is_cut_is_made_anew(postgres_url, make, monkeypatch):
    """Again and again, at any moment: whoever records is not told, and all of it is there once."""
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01,) * 10)
    store = Store.open(postgres_url)
    admin = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"))
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE %s AND pid <> %s"
    cuts, recorded = 0, threading.Event()

    def saw() -> None:
        nonlocal cuts
        with admin.connect() as connection:
            me = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            while cuts < 10 and not recorded.wait(0.02):
                cuts += connection.exec_driver_sql(cut, ("%attempt%", me)).scalar()
                connection.rollback()

    thread = threading.Thread(target=saw)
    thread.start()
    made, until = 0, time.monotonic() + 60
    while made < 25 or (not cuts and time.monotonic() < until):
        make.record(store, make.result(make.request(repetition=made)))
        made += 1
    recorded.set()
    thread.join()
    admin.dispose()
    assert cuts > 0
    assert store.runs()["repetition"].tolist() == list(range(made))
    assert len(store.scores()) == 2 * made
    assert set(store.attempts()["outcome"]) == {"finished"}


def test_a_commit_whose_acknowledgement_is_lost_is_no_second_one(postgres_url, make, monkeypatch, quick):
    """The server has it; the connection is cut before it says so."""
    store, lost = Store.open(postgres_url), []
    real = store.database._transaction

    def transaction(write):
        class Cut:
            def __enter__(self):
                self.inner = real(write)
                return self.inner.__enter__()

            def __exit__(self, *exception):
                self.inner.__exit__(*exception)
                if write and len(lost) % 2 == 0:
                    lost.append(1)
                    raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"))
                lost.append(0)

        return Cut()

    monkeypatch.setattr(store.database, "_transaction", transaction)
    make.record(store, make.result())
    store.retract(1, "why")
    make.record(store, make.result())
    monkeypatch.undo()
    assert sum(lost) >= 3
    assert store.counts() == {"runs": 1, "retracted": 1, "attempts": 2}
    assert len(store.scores()) == 2


def test_a_server_that_crashes_and_comes_back(own, make):
    store = Store.open(own.url)
    make.record(store, make.result())

    def crash() -> None:
        own.stop("immediate")
        own.start()

    crashing = threading.Thread(target=crash)
    crashing.start()
    for repetition in range(1, 40):
        make.record(store, make.result(make.request(repetition=repetition)))
    crashing.join()
    assert store.runs()["repetition"].tolist() == list(range(40))


def test_a_server_that_is_gone_is_told_in_one_line(own, make, quick):
    store = Store.open(own.url)
    own.stop("fast")
    began = time.monotonic()
    with pytest.raises(UserError, match=r"postgresql.*/postgres.* cannot be used: ") as error:
        make.record(store, make.result())
    assert "\n" not in str(error.value)
    assert time.monotonic() - began > 0.35
    own.start()
    make.record(store, make.result())
    assert len(store.runs()) == 1


def test_who_stands_still_in_a_transaction_does_not_hold_up_the_others(postgres_url, make, monkeypatch):
    monkeypatch.setattr(module, "_IDLE_SECONDS", 1)
    store = Store.open(postgres_url)
    ours, theirs = multiprocessing.Pipe()

    def stand() -> None:
        times = []

        def work(connection):
            times.append(1)
            if len(times) == 1:
                theirs.send("in it")
                os.kill(os.getpid(), signal.SIGSTOP)
            connection.exec_driver_sql("UPDATE attempts SET progress = 0.75")

        store.database.write(work)

    process = multiprocessing.get_context("fork").Process(target=stand)
    process.start()
    assert ours.recv() == "in it"
    make.record(store, make.result())
    assert store.attempts()["progress"].tolist() == [1.0]
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 0
    assert store.attempts()["progress"].tolist() == [0.75]


def test_a_server_that_may_only_be_read(postgres_url, make):
    make.record(Store.open(postgres_url), make.result())
    options = sa.make_url(postgres_url).query["options"]
    own = {"options": f"{options} -cdefault_transaction_read_only=on"}
    store = Store.open(sa.make_url(postgres_url).update_query_dict(own).render_as_string(hide_password=False))
    assert len(store.runs()) == 1
    with pytest.raises(UserError, match="is read-only"):
        make.record(store, make.result(make.request(repetition=1)))
