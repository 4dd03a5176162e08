"""What a store keeps when processes are killed, and how many may write to it at once.

kills      `harness run` trains small populations while it and its workers are killed (SIGKILL) at random;
           killed, it is given again, in the same words. A result is acknowledged once a reader of the store
           has seen it. In the end each must be there (else it is lost), once (else doubled), and as it was
           first seen (else altered). In flight: attempts that a kill ended. Redone: results that were trained
           to the end more than once
writers    so many processes at once claim populations, beat, and record made-up runs
"""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import _measure
import click
import sqlalchemy as sa

from harness.registry import ROOT
from harness.store import Store
from harness.store import schema as tables

sys.path.append(str(ROOT / "tests" / "support"))
from postgres import Server, binaries
from synthetic import made_up

CELLS = ("rnn", "gru", "lstm", "depth-gated", "clockwork")
TASKS = ("gap-copy", "gap-latch", "gap-parity", "gap-flipflop")
RULES = ("--gaps", "2,4", "--updates", "30", "--hidden-size", "8", "--lr", "0.003,0.01")
KILLS = {
    "store": ("store", "{}"),
    "kills": ("kills", "{}"),
    "of workers": ("workers_killed", "{}"),
    "of drivers": ("drivers_killed", "{}"),
    "in flight": ("in_flight", "{}"),
    "results": ("results", "{:,}"),
    "acknowledged": ("acknowledged", "{:,}"),
    "lost": ("lost", "{}"),
    "doubled": ("doubled", "{}"),
    "altered": ("altered", "{}"),
    "redone": ("redone", "{}"),
    "integrity": ("integrity", "{}"),
    "same command": ("same_command", "{}"),
    "seconds": ("seconds", "{:.0f}"),
}
WRITERS = {
    "store": ("store", "{}"),
    "writers": ("writers", "{}"),
    "asked": ("asked", "{:,}"),
    "recorded": ("recorded", "{:,}"),
    "doubled": ("doubled", "{}"),
    "errors": ("errors", "{}"),
    "integrity": ("integrity", "{}"),
    "runs/s": ("per_second", "{:,.0f}"),
    "longest (s)": ("longest", "{:.1f}"),
    "seconds": ("seconds", "{:.0f}"),
}
"""Headings of the tables."""


class Watch:
    """Reads a store again and again, and keeps what every run looked like when it was there first."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.wait(0.1):
                self.look()
        except BaseException as error:
            self._error = error

    def look(self) -> None:
        """See what there is now."""
        for key, digest in contents(self.store).items():
            self.seen.setdefault(key, digest)


def contents(store: Store) -> dict[str, str]:
    """Every run's key, with a hash of all that is recorded of it."""

    def read(connection: sa.Connection) -> dict[str, str]:
        texts = {}
        keys = {}
        for row in connection.execute(sa.select(tables.runs).where(tables.live)):
            keys[row.id], texts[row.id] = row.key, [repr(tuple(row))]
        for table in (tables.scores, tables.points):
            for row in connection.execute(sa.select(table).order_by(*table.primary_key)):
                texts[row.run_id].append(repr(tuple(row)))
        return {
            keys[run]: hashlib.sha256("\n".join(lines).encode()).hexdigest() for run, lines in texts.items()
        }

    return store.database.read(read)


def integrity(store: Store) -> str:
    """What the database says of itself: `ok`, as far as it can tell."""
    if store.database.path is None:
        return "ok"  # PostgreSQL checks constraints as it goes, and has no such command
    with store.database.transaction() as connection:
        said = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return "ok" if said == ["ok"] and not broken else f"{said[0]}, {len(broken)} references broken"


def doubled(store: Store) -> int:
    """Runs of a key beyond the first."""
    query = sa.select(tables.runs.c.key).where(tables.live)
    counts = Counter(store.database.read(lambda connection: connection.scalars(query).all()))
    return sum(counts.values()) - len(counts)


def redone(store: Store) -> int:
    """Attempts at a run beyond the first and those that follow one that did not finish."""
    query = sa.select(tables.attempt_runs.c.key, tables.attempts.c.outcome).join(tables.attempts)
    rows = store.database.read(lambda connection: connection.execute(query).all())
    finished = Counter(row.key for row in rows if row.outcome == "finished")
    return sum(finished.values()) - len(finished)


class Sweep:
    """`harness run`, given again whenever it is killed; with one repetition more when it is done too soon."""

    def __init__(self, db: str, tasks: Sequence[str]) -> None:
        self.db = db
        self.tasks = tasks
        self.repetitions = 1
        self.driver: subprocess.Popen[str] | None = None

    @property
    def command(self) -> list[str]:
        """Always the same, but for the repetitions. Who is killed thrice is given up: hence --retry."""
        named = [part for cell in CELLS for part in ("--cell", cell)]
        named += [part for task in self.tasks for part in ("--task", task)]
        where = ("--engine", "eager", "--device", "cpu", "--db", self.db, "--retry", "--json")
        own = ("--repetitions", str(self.repetitions))
        return [sys.executable, "-m", "harness", "run", *named, *RULES, *own, *where]

    @property
    def results(self) -> int:
        """The number of runs when it is done."""
        return len(CELLS) * len(self.tasks) * 2 * 2 * self.repetitions

    def start(self) -> subprocess.Popen[str]:
        """Give the command."""
        with open(f"{self.db}.stderr", "a") as said:
            self.driver = subprocess.Popen(
                self.command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=said
            )
        return self.driver


def children(process: int) -> list[int]:
    """The processes that this one started and that have not ended."""
    found = []
    for threads in Path("/proc").glob(f"{process}/task/*/children"):
        try:
            found += [int(number) for number in threads.read_text().split()]
        except OSError:
            continue
    return found


def kills(file: Path, tasks: Sequence[str], count: int, moments: random.Random) -> dict[str, Any]:
    """Kill so many processes of a sweep, then let it finish."""
    store, sweep, began = Store.open(str(file)), Sweep(str(file), tasks), time.perf_counter()
    killed: Counter[str] = Counter()
    recorded = 0
    with Watch(store) as watch:
        driver = sweep.start()
        while sum(killed.values()) < count:
            if driver.poll() is not None:  # done, or a population lost its worker: on with it, or with more
                if driver.returncode not in (0, 1):
                    raise click.ClickException(f"harness run ended with exit code {driver.returncode}")
                if driver.returncode == 0:
                    sweep.repetitions += 1
                driver = sweep.start()
            elif store.counts()["runs"] == recorded or not in_flight(store, driver.pid):
                time.sleep(0.05)  # it shall get on between two kills
            else:
                time.sleep(moments.uniform(0, 1))
                recorded = store.counts()["runs"]
                workers = children(driver.pid)
                kind = "drivers" if moments.random() < 0.2 or not workers else "workers"
                try:
                    os.kill(driver.pid if kind == "drivers" else moments.choice(workers), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed[kind] += 1
                if kind == "drivers":
                    driver.communicate()
                    driver = sweep.start()
        output, _ = driver.communicate()
        unfinished = store.attempts()["outcome"].isin(["killed", "interrupted"]).sum()
        last = sweep.start()
        output, _ = last.communicate()
        ended = last.returncode
        watch.look()
    rows = [json.loads(line) for line in output.splitlines()]
    told = sum(row["runs"] for row in rows)
    now = contents(store)
    return {
        "part": "kills",
        "store": store.database.url.get_backend_name(),
        "kills": sum(killed.values()),
        "workers_killed": killed["workers"],
        "drivers_killed": killed["drivers"],
        "in_flight": int(unfinished),
        "results": told,
        "acknowledged": len(watch.seen),
        "lost": len(watch.seen.keys() - now.keys()),
        "doubled": doubled(store),
        "altered": sum(now.get(key, digest) != digest for key, digest in watch.seen.items()),
        "redone": redone(store),
        "integrity": integrity(store),
        "same_command": "finished"
        if ended == 0 and told == len(now) == sweep.results
        else f"exit code {ended}",
        "seconds": time.perf_counter() - began,
    }


def in_flight(store: Store, process: int) -> bool:
    """Whether a driver has something trained."""
    query = sa.select(tables.attempts.c.owner).where(tables.attempts.c.outcome.is_(None))
    owners = store.database.read(lambda connection: connection.scalars(query).all())
    return str(process) in [owner.split(":")[1] for owner in owners]


def writers(url: str, count: int, runs: int, members: int = 5) -> dict[str, Any]:
    """Have so many processes record that many runs together."""
    store = Store.open(url)
    context = multiprocessing.get_context("spawn")
    populations = [range(first, min(first + members, runs)) for first in range(0, runs, members)]
    connections = []
    for number in range(count):
        ours, theirs = context.Pipe()
        own = populations[number::count]
        context.Process(target=_write, args=(url, number, own, theirs), daemon=True).start()
        theirs.close()
        connections.append(ours)
    for connection in connections:
        connection.recv()  # it is ready
    began = time.perf_counter()
    for connection in connections:
        connection.send("begin")
    said = [connection.recv() for connection in connections]
    seconds = time.perf_counter() - began
    for line in sorted({line for lines, _ in said for line in lines}):
        print(line, file=sys.stderr)
    recorded = store.counts()["runs"]
    return {
        "part": "writers",
        "store": store.database.url.get_backend_name(),
        "writers": count,
        "asked": runs,
        "recorded": recorded,
        "doubled": doubled(store),
        "errors": sum(len(lines) for lines, _ in said),
        "integrity": integrity(store),
        "per_second": recorded / seconds,
        "longest": max(longest for _, longest in said),
        "seconds": seconds,
    }


def _write(url: str, number: int, populations: Sequence[range], connection: Connection) -> None:
    """A writer: tells the errors that a user would have seen, and the longest that it waited."""
    store, errors, longest = Store.open(url), [], 0.0
    connection.send("ready")
    connection.recv()
    for population in populations:
        results, cards, protocol = made_up(population)
        began = time.perf_counter()
        try:
            claim = store.claim([result.request for result in results], owner=f"writer:{number}:0")
            assert claim is not None
            store.beat({claim.attempt: 0.5})
            store.record(claim.attempt, results, cards, protocol)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
        longest = max(longest, time.perf_counter() - began)
    connection.send((errors, longest))


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a PostgreSQL database: TEST_DB_URL, or of a server of our own; None: there is none."""
    if given := os.environ.get("TEST_DB_URL"):
        yield given
    elif binaries() is None:
        yield None
    else:
        server = Server(durable=True)
        try:
            yield server.url
        finally:
            server.remove()


def _upright(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A row of many columns as lines of two."""
    return [{"what": name, "number": form.format(row[key])} for name, (key, form) in KILLS.items()]


@click.command()
@click.option("--kills", "count", default=50, show_default=True, help="Processes to kill; 0: none of this.")
@click.option(
    "--runs", default=10_000, show_default=True, help="Runs that the writers record together; 0: none."
)
@click.option("--task", "tasks", multiple=True, default=TASKS, help="Of the sweep. Repeatable.")
@click.option("--seed", default=7, show_default=True, help="Of the moments of the kills.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per row.")
def main(count: int, runs: int, tasks: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Kill workers and drivers of a sweep; have many write at once; tell what became of the results.

    \b
    Example: python benchmarks/faults.py --kills 50
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing of it shall go on
    machine = _measure.machine()
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        if count:
            swept = kills(Path(folder, "sweep.db"), tasks, count, random.Random(seed))
            rows = [swept] if as_json else _upright(swept)
            columns = {"what": ("what", "{}"), "number": ("number", "{}")}
            _measure.show("A sweep whose processes are killed", rows, columns, machine, as_json)
        if runs:
            written = [writers(str(Path(folder, "written.db")), 8, runs)]
            if server is None:
                print("PostgreSQL is not here: its writers are left out", file=sys.stderr)
            else:
                written.append(writers(server, 16, runs))
            _measure.show("Many who write at once", written, WRITERS, machine, as_json)


if __name__ == "__main__":
    main()
