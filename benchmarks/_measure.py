"""What the benchmarks share: a population at work as `harness run` has it, stopped between measurements."""

import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click

from harness.executors import Job, Local, divide
from harness.executors.process import cores as count_cores
from harness.executors.process import environment
from harness.protocol import QUICK

HERE = Path(__file__).resolve().parent
TASK = "gap-copy"
SHORTEST = 6
"""Steps of a sequence whose gap is 0: three symbols, and three recall markers."""
WARM = 4
"""Updates before the first measurement; an engine told to compile has done so in the first."""


class Workers:
    """A population training in worker processes, one per core and one thread each, its members divided
    among them. Between measurements they wait.

    length: T
    memory: bytes for all workers together; what `harness run` allows if None
    """

    def __init__(
        self, cell: str, hidden_size: int, members: int, length: int, engine: str, memory: int | None = None
    ) -> None:
        cores = count_cores()
        share = Local(engine, memory).memory // cores
        context = multiprocessing.get_context("spawn")
        self.workers = []
        with _as_worker():
            for job in divide([_job(cell, hidden_size, members, length)], cores):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, job, engine, share), daemon=True)
                process.start()
                theirs.close()
                self.workers.append((process, ours, len(job.members)))
        for _, connection, _ in self.workers:
            connection.recv()  # it is warm

    def stop(self) -> None:
        """End them."""
        for process, connection, _ in self.workers:
            process.kill()
            process.join()
            connection.close()

    def seconds(self, updates: int) -> float:
        """Seconds per member and update of the whole machine, over so many updates."""
        for _, connection, _ in self.workers:
            connection.send(updates)
        speed = 0.0
        for _, connection, members in self.workers:
            seconds, _ = connection.recv()
            speed += members * updates / seconds
        return 1 / speed

    def peak_memory(self) -> int:
        """The most bytes that the workers have held, added up."""
        total = 0
        for _, connection, _ in self.workers:
            connection.send(1)
            total += connection.recv()[1]
        return total


@contextmanager
def _as_worker() -> Iterator[None]:
    """Processes started within have the environment of a request's workers, and one thread each."""
    own = environment(threads=1)
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def _job(cell: str, hidden_size: int, members: int, length: int) -> Job:
    """A population of `quick`, each repetition at each learning rate, that trains for ever."""
    from harness.registry import find_cell

    spec, protocol = find_cell(cell), QUICK.vary(updates=10**9, hidden_size=hidden_size)
    half = -(-members // len(protocol.lr))
    everyone = [(repetition, lr) for lr in protocol.lr for repetition in range(half)]
    return Job(
        cell=spec.reference,
        cell_version=spec.file.version,
        task=TASK,
        protocol=asdict(protocol),
        hidden_size=hidden_size,
        gap=length - SHORTEST,
        members=tuple(everyone[:members]),
        cost=1.0,
    )


def _work(connection: Connection, job: Job, engine: Any, memory: int) -> None:
    """A worker: trains; tells (seconds, peak bytes) of as many updates as it is asked for, then waits."""
    import torch

    from harness.engine import Member, Population, Progress, Settings, train
    from harness.protocol import Protocol
    from harness.registry import find_cell, find_task

    torch.set_num_threads(1)
    left, began = WARM, time.perf_counter()

    def report(progress: Progress) -> None:
        nonlocal left, began
        left -= 1
        if left == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            connection.send((time.perf_counter() - began, peak * (1 if sys.platform == "darwin" else 1024)))
            left, began = connection.recv(), time.perf_counter()

    population = Population(
        find_cell(job.cell),
        find_task(job.task),
        Protocol(**job.protocol),
        job.hidden_size,
        job.gap,
        tuple(Member(*member) for member in job.members),
    )
    settings = Settings(torch.device("cpu"), engine=engine, memory=memory)
    train(population, settings, report=report, note=lambda line: print(line, file=sys.stderr))


def machine() -> dict[str, Any]:
    """Where this is measured, and how busy it was before."""
    import torch

    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": count_cores(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
    }


def numbers(context: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def show(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, tuple[str, str]],
    machine: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Print the rows: whole, with the machine, as JSON Lines; or some of each as a table.

    columns: by heading, a key of the rows and how its value is written
    """
    if as_json:
        for row in rows:
            print(json.dumps({**row, **machine}))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    where = "{machine}, {cores} cores, torch {torch}; load before: {load}".format(**machine)
    table = Table(title=Text(f"{title}\n{where}"), title_justify="left", title_style="", box=None)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*("–" if row[k] is None else form.format(row[k]) for k, form in columns.values()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
