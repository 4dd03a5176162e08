"""How fast the tasks make their sequences, and how long a training population waits for them.

gap …    millions of tokens per second on one core, in batches of 64, at this gap; the best of some rounds, as
         anything else that runs makes it slower. A short batch costs what it costs to begin one, 0.03 ms and
         more, of which seeding is half: the thirty array operations of gap-bracket are more than its aim
         allows the few tokens of gap 16
aim      20 for synthetic probes, 3 for natural-language ones
waits    the share of its time in which a population of `quick` (a GRU at gap 64, four members) waits for
         batches on that same core: those drawn ahead by a thread that are not there yet, and those of the
         checks, which are not drawn ahead. Aimed at: less than 5%
draws    the share of its time that the core spends on drawing, by the thread too
"""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import _measure
import click
import torch

from harness.engine import Member, Population, Progress, Settings, train
from harness.engine.data import MemberBatch, Source
from harness.model import solve_width
from harness.protocol import QUICK
from harness.registry import find_cell, find_task, task_classes
from harness.task import Split, Task

TRAINED = 64
"""The gap of the population."""


class _Enough(Exception):
    """So many updates were measured."""


class _Watched(Source):
    """A source that notes its time in `log`: when it was over, seconds of waiting, seconds of drawing."""

    def __init__(self, log: list[tuple[float, float, float]], *arguments: Any) -> None:
        super().__init__(*arguments)
        self.log = log

    def draw(self, split: Split, gap: int, index: int, size: int) -> MemberBatch:
        """As the source does; the population waits where its own thread draws."""
        began, worked = time.perf_counter(), time.thread_time()
        batch = super().draw(split, gap, index, size)
        ended, worked = time.perf_counter(), time.thread_time() - worked
        waits = threading.current_thread() is threading.main_thread()
        self.log.append((ended, (ended - began) * waits, worked))
        return batch

    def ahead(self, requests: Iterator[tuple[Split, int, int, int]]) -> Iterator[MemberBatch]:
        """As the source does; the population waits for each."""
        batches = super().ahead(requests)
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            ended = time.perf_counter()
            self.log.append((ended, ended - began, 0.0))
            if batch is None:
                return
            yield batch


def tokens_per_second(task: Task, gap: int, seconds: float) -> float:
    """The best of rounds that take so long together, once a grammar is compiled."""
    task.batch("train", 1, gap, 0, QUICK.batch_size)
    index, best, end = 0, 0.0, time.perf_counter() + seconds
    while not best or time.perf_counter() < end:
        began = time.perf_counter()
        tokens = 0
        for _ in range(4):
            tokens += task.batch("train", 0, gap, index, QUICK.batch_size).roles.size
            index += 1
        best = max(best, tokens / (time.perf_counter() - began))
    return best


def waiting(task: Task, engine: Any, updates: int) -> tuple[float, float]:
    """The shares of waiting and of drawing in so many updates of `quick`, once it is warm."""
    spec, gap = find_cell("gru"), max(TRAINED, task.min_gap)
    began = over = 0.0

    def report(progress: Progress) -> None:
        nonlocal began, over
        if progress.update == _measure.WARM:
            began = time.perf_counter()
        if progress.update == _measure.WARM + updates:
            over = time.perf_counter()
            raise _Enough

    protocol = QUICK.vary(solved_accuracy=2.0)  # nobody stops before the end
    members = tuple(Member(repetition, lr) for lr in QUICK.lr for repetition in range(QUICK.repetitions))
    width = solve_width(spec, protocol.budget)
    log: list[tuple[float, float, float]] = []
    watched = mock.patch("harness.engine.train.Source", functools.partial(_Watched, log))
    with watched, contextlib.suppress(_Enough):
        train(
            Population(spec, task, protocol, width, gap, members),
            Settings(torch.device("cpu"), engine=engine),
            report=report,
        )
    noted = [(waited, worked) for ended, waited, worked in log if began < ended < over]
    waited, worked = map(sum, zip(*noted, strict=True))
    return waited / (over - began), worked / (over - began)


def measure(
    tasks: Sequence[str], gaps: Sequence[int], seconds: float, engine: str, updates: int
) -> list[dict[str, Any]]:
    """A row for each task."""
    rows = []
    for task in map(find_task, tasks):
        row: dict[str, Any] = {"task": task.id, "aim": 3 if task.name.startswith("nl-") else 20}
        for gap in gaps:
            known = gap >= task.min_gap
            row[f"gap_{gap}"] = tokens_per_second(task, gap, seconds) / 1e6 if known else None
        row["engine"] = engine
        row["waits"], row["draws"] = waiting(task, engine, updates)
        rows.append(row)
    return rows


@click.command()
@click.option("--task", "tasks", multiple=True, help="A task's id. Repeatable.  [default: all]")
@click.option("--gap", "gaps", multiple=True, default=(16, 64, 257, 1000), show_default=True)
@click.option("--seconds", default=0.2, show_default=True, help="Seconds for each speed.")
@click.option("--engine", default="compiled", show_default=True, help="eager or compiled.")
@click.option("--updates", default=124, show_default=True, help="Updates in which waiting is measured.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per task.")
def main(
    tasks: tuple[str, ...], gaps: tuple[int, ...], seconds: float, engine: str, updates: int, as_json: bool
) -> None:
    """Millions of tokens per second of every task, and how long training waits for them.

    \b
    Example: python benchmarks/generation.py --task gap-bracket --gap 64 --gap 65
    """
    machine = _measure.machine()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = measure(tasks or tuple(task_classes()), gaps, seconds, engine, updates)
    columns = {"task": ("task", "{}")}
    columns |= {f"gap {gap}": (f"gap_{gap}", "{:.1f}") for gap in gaps}
    columns |= {"aim": ("aim", "≥ {}"), "waits": ("waits", "{:.1%}"), "draws": ("draws", "{:.1%}")}
    _measure.show("millions of tokens per second on one core", rows, columns, machine, as_json)


if __name__ == "__main__":
    main()
