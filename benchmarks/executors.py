"""What the executors make of several cores: a mixed sweep of short and long populations, trained by one
worker, by one for each core, and by the same number on a Ray of this machine.

Start-up is left out: the clock starts when each worker has trained something. With `gain`, how many times as
fast as one worker; with `to local`, the time on Ray as a multiple of the local one.
"""

import statistics
import time
from dataclasses import asdict, replace
from typing import Any

import _measure
import click

from harness.executors import Job, divide, find_executor
from harness.protocol import QUICK, Protocol
from harness.registry import find_cell

CELLS = ("gru", "lstm", "rnn")
TASKS = ("gap-copy", "gap-latch")
WIDTH = 40
MEMBERS = tuple((repetition, lr) for lr in QUICK.lr for repetition in range(QUICK.repetitions))
WARM = 3
"""Updates of the first training of each worker."""
COLUMNS = {
    "executor": ("executor", "{}"),
    "workers": ("workers", "{}"),
    "populations": ("populations", "{}"),
    "seconds": ("seconds", "{:.1f}"),
    "gain": ("gain", "{:.2f}×"),
    "to local": ("to_local", "{:.2f}"),
}
"""Headings of the table."""


def sweep(gaps: list[int], updates: int) -> list[Job]:
    """A population for every cell, task and gap."""
    rules = QUICK.vary(gaps=tuple(gaps), updates=updates, hidden_size=WIDTH)
    return [job(c, t, g, rules) for c in CELLS for t in TASKS for g in rules.gaps]


def job(cell: str, task: str, gap: int, rules: Protocol) -> Job:
    """One of them."""
    spec = find_cell(cell)
    return Job(
        cell=spec.reference,
        cell_version=spec.file.version,
        task=task,
        protocol=asdict(rules),
        hidden_size=WIDTH,
        gap=gap,
        members=MEMBERS,
        cost=float((gap + 6) * rules.updates * len(MEMBERS)),
    )


def seconds(name: str, workers: int, jobs: list[Job], engine: str) -> float:
    """Of so many workers, for all jobs."""
    with find_executor(name, engine) as executor:
        executor.start("cpu", workers)
        if executor.size != workers:
            raise click.ClickException(f"{name} has {executor.size} workers here, not {workers}")
        short = [replace(one, protocol={**one.protocol, "updates": WARM}) for one in jobs[:workers]]
        _run(executor, short)
        began = time.perf_counter()
        _run(executor, divide(jobs, workers))
        return time.perf_counter() - began


def _run(executor: Any, jobs: list[Job]) -> None:
    for _, kind, content in executor.run(jobs):
        if kind == "outcome" and not hasattr(content, "trained"):
            raise click.ClickException(f"a training failed: {content.reason}")


@click.command()
@click.option(
    "--gaps",
    default="2,4,8,16,32,64",
    show_default=True,
    callback=_measure.numbers,
    help="A population each.",
)
@click.option("--updates", default=60, show_default=True, help="Of each population.")
@click.option("--engine", default="eager", show_default=True, help="eager or compiled.")
@click.option("--rounds", default=1, show_default=True, help="Measurements of each; the median is shown.")
@click.option("--no-ray", is_flag=True, help="Local workers only.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per executor.")
def main(gaps: list[int], updates: int, engine: str, rounds: int, no_ray: bool, as_json: bool) -> None:
    """Time one local worker, one for each core, and as many on Ray.

    \b
    Example: python benchmarks/executors.py --gaps 2,64 --updates 20
    """
    machine, cores, jobs = _measure.machine(), _measure.count_cores(), sweep(gaps, updates)
    ways = [("local", 1), ("local", cores), *([] if no_ray else [("ray", cores)])]
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for times, (name, workers) in zip(taken, ways, strict=True):
            times.append(seconds(name, workers, jobs, engine))
    medians = [statistics.median(times) for times in taken]
    rows: list[dict[str, Any]] = [
        {
            "executor": name,
            "workers": workers,
            "populations": len(jobs),
            "updates": updates,
            "engine": engine,
            "seconds": median,
            "gain": medians[0] / median,
            "to_local": median / medians[1],
        }
        for (name, workers), median in zip(ways, medians, strict=True)
    ]
    _measure.show(f"a sweep of {len(jobs)} populations, {engine}", rows, COLUMNS, machine, as_json)


if __name__ == "__main__":
    main()
