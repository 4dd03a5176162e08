"""How long `harness board` and the leaderboard page take on a large store: 100,000 runs with 1,000,000
scores, made up.

Cells under `standard` and `standard-mixed` on the suite, ten repetitions at every learning rate, as many as
give these numbers; of more than `--cells` of them the rest are runs of older sources of the same cells, which
a board passes over.

seconds    of `harness board`, the whole process: the fastest of a few
page       of the page in Chromium, until all of it is there: the first visit to a dashboard that was just
           started, the fastest of a few dashboards
again      the same, visited again: the fastest of a few
"""

import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import _measure
import click
import numpy as np
import sqlalchemy as sa

from harness.protocol import STANDARD, STANDARD_MIXED, Protocol
from harness.registry import find_task, suite
from harness.store import Store
from harness.store import schema as tables

REPETITIONS = 10
LAST = "Commands that make these rows"
"""The last text of the leaderboard."""
COLUMNS = {
    "protocol": ("protocol", "{}"),
    "runs": ("runs", "{:,}"),
    "scores": ("scores", "{:,}"),
    "cells": ("cells", "{}"),
    "runs on it": ("runs_on_board", "{:,}"),
    "seconds": ("seconds", "{:.2f}"),
    "page": ("page", "{:.2f}"),
    "again": ("page_again", "{:.2f}"),
}
"""Headings of the table."""


class Maker:
    """Fills a store with runs past the recorder, which would take minutes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.random = np.random.Generator(np.random.PCG64(1))
        self.runs = 0

    def common(self, cells: int, tasks: list[str]) -> None:
        """What runs refer to: old and new sources of cells, tasks, protocols, a provenance, an attempt."""
        card: dict[str, Any] = {"docstring": "", "source": "", "options": {}}
        names = [("cell", f"cell-{i}", version) for version in ("old", "new") for i in range(cells)]
        names += [("task", task, "1") for task in tasks]
        kinds = [
            {"id": i + 1, "kind": kind, "card": name, "version": version, "name": name.partition("@")[0]}
            for i, (kind, name, version) in enumerate(names)
        ]
        protocols = [{"protocol": p.id, "content": p.content()} for p in (STANDARD, STANDARD_MIXED)]
        provenance = {"digest": "0", "content": {"device": "cpu"}}
        attempt = {"owner": "here:1:1", "cell": "", "task": "", "protocol": "", "started": 0.0}
        attempt |= {"heartbeat": 0.0, "progress": 1.0, "outcome": "finished"}
        with self.store.database.transaction(write=True) as connection:
            connection.execute(tables.cards.insert(), [kind | card for kind in kinds])
            connection.execute(tables.protocols.insert(), protocols)
            connection.execute(tables.provenances.insert(), provenance)
            connection.execute(tables.attempts.insert(), attempt)

    def entry(self, cell: int, task_id: int, task: str, protocol: Protocol, number: int) -> None:
        """The runs of a cell on a task with their scores."""
        chance, gaps = find_task(task).chance(64), protocol.evaluated(find_task(task).min_gap)
        mixed = protocol.train == "mixed"
        reach = 4 + 60 * float(self.random.random())
        runs, scores = [], []
        for gap, lr, repetition in product((None,) if mixed else gaps, protocol.lr, range(REPETITIONS)):
            self.runs += 1
            runs.append(
                {
                    "id": self.runs, "key": f"{self.runs}", "attempt_id": 1, "cell_id": cell,
                    "task_id": task_id, "protocol_id": number, "provenance_id": 1, "division": "closed",
                    "repetition": repetition, "lr": lr, "gap": gap, "hidden_size": 40, "dtype": "float32",
                    "numerics": 1, "outcome": "finished", "cell_parameters": 31_900, "state_floats": 40,
                    "updates": protocol.updates, "gap_auc": 0.5, "seconds": 1.0, "created": 0.0,
                }
            )  # fmt: skip
            for split, at in product(("validation", "test"), gaps if gap is None else (gap,)):
                share = 1 / (1 + (at / reach) ** 2 * float(self.random.uniform(0.5, 2)))
                scores.append(
                    {"run_id": self.runs, "split": split, "gap": at, "n": 1024, "chance": chance}
                    | {"n_correct": round(1024 * (chance + (1 - chance) * share))}
                    | {"extrapolated": protocol.extrapolated(at)}
                )
        with self.store.database.transaction(write=True) as connection:
            connection.execute(tables.runs.insert(), runs)
            connection.execute(tables.scores.insert(), scores)


def make(store: Store, runs: int, scores: int, cells: int) -> None:
    """Fill an empty store."""
    found = [find_task(name) for name in suite()]
    tasks = [task.id for task in found]
    maker = Maker(store)
    maker.common(cells, tasks)
    fixed, far = (sum(len(p.evaluated(t.min_gap)) for t in found) for p in (STANDARD, STANDARD_MIXED))
    members = (
        len(STANDARD.lr) * REPETITIONS
    )  # of each, a mixed cell has a run per task, a fixed one per gap too
    mixed_cells = (scores - 2 * runs) / (2 * members * (far - len(tasks)))
    fixed_cells = (runs - mixed_cells * members * len(tasks)) / (members * fixed)
    plan = []
    for number, (protocol, many) in enumerate([(STANDARD, fixed_cells), (STANDARD_MIXED, mixed_cells)], 1):
        plan += [(i < cells, i % cells, protocol, number) for i in range(math.ceil(many))]
    for newest, cell, protocol, number in sorted(plan, key=lambda entry: entry[0]):  # the newest last
        for place, task in enumerate(tasks, 2 * cells + 1):
            maker.entry(cell + 1 + newest * cells, place, task, protocol, number)


def seconds(arguments: list[str], rounds: int) -> float:
    """Of the fastest of some processes."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness", *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)


def visits(db: str, protocol: str, rounds: int) -> tuple[float, float] | tuple[None, None]:
    """Seconds of the leaderboard page in Chromium, at first and again; None where there is no Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        return None, None
    from playwright.sync_api import sync_playwright

    first, again = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(rounds):
            with _dashboard(db) as url:
                context = browser.new_context(viewport={"width": 1440, "height": 1000})
                times = [_visit(context, f"{url}/?protocol={protocol}", LAST) for _ in range(3)]
                first.append(times[0])
                again += times[1:]
                context.close()
        browser.close()
    return min(first), min(again)


def _visit(context: Any, url: str, last: str) -> float:
    """Seconds until the last text of a page is there, and its server has nothing more to send."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url)
    page.get_by_text(last).first.wait_for(timeout=120_000)
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
    seconds = time.perf_counter() - began
    page.close()
    return seconds


@contextmanager
def _dashboard(db: str) -> Iterator[str]:
    """The address of a dashboard that has started."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "harness", "dashboard", "--no-browser", "--db", db, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url = f"http://localhost:{port}"
        while True:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health")
            except OSError:
                if server.poll() is not None:
                    raise click.ClickException("the dashboard did not start") from None
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        server.kill()
        server.wait()


@click.command()
@click.option("--runs", default=100_000, show_default=True)
@click.option("--scores", default=1_000_000, show_default=True)
@click.option("--cells", default=200, show_default=True, help="The most on a board.")
@click.option("--rounds", default=3, show_default=True, help="Measurements of each.")
@click.option("--db", help="Keep the store in this file, or measure the one that is there.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per board.")
def main(runs: int, scores: int, cells: int, rounds: int, db: str | None, as_json: bool) -> None:
    """Seconds of `harness board`, and of the leaderboard page, for each protocol.

    \b
    Example: python benchmarks/board.py --db large.db
    """
    machine = _measure.machine()
    with tempfile.TemporaryDirectory() as folder:
        path = db or str(Path(folder) / "large.db")
        there = Path(path).exists()
        store = Store.open(path)
        if not there:
            make(store, runs, scores, cells)
        with store.database.transaction() as connection:
            counted = connection.scalar(sa.select(sa.func.count()).select_from(tables.scores))
        rows = []
        for protocol in (STANDARD, STANDARD_MIXED):
            trials = store.trials(tasks=[find_task(name).id for name in suite()], protocol=protocol.id)
            rows.append(
                {
                    "protocol": protocol.id,
                    "runs": store.counts()["runs"],
                    "scores": counted,
                    "cells": trials["cell"].nunique(),
                    "runs_on_board": len(trials),
                    "seconds": seconds(["board", "--db", path, "--protocol", protocol.id], rounds),
                }
            )
            rows[-1]["page"], rows[-1]["page_again"] = visits(path, protocol.id, rounds)
    _measure.show("the board of a large store", rows, COLUMNS, machine, as_json)


if __name__ == "__main__":
    main()
