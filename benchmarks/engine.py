"""What a population costs, beside torch's own modules trained one after another and beside the least it could
cost on this machine.

    alone        seconds of a member's update by torch: embedding, `nn.GRU` or a loop over the cell's steps
                 where torch has no such module, readout, clipping, Adam; one model at a time on all cores
    population   the same per member of a population, as `harness run` trains it: its members divided among
                 worker processes, one per core; without checks and scoring
    floor        the matrix products that a step cannot do without, at the peak measured in the same run:
                 one forward and two backward, 3 · 2 B · T · weights operations. Weights that meet the input
                 alone do not count, as tokens are looked up in a table

All are measured in turn, several times; the median counts.
"""

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import _measure
import click
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from harness.model import EMBEDDING, build
from harness.protocol import QUICK
from harness.registry import CellSpec, find_cell, find_task

PLAIN = str(_measure.HERE / "plain_gru.py")
MODULES = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
CELLS = ("gru", PLAIN, "lstm", "rnn", "depth-gated", "clockwork")
PEAK_SIZE = 2048
"""Rows and columns of the product that the peak is measured with."""

COLUMNS = {
    "cell": ("cell", "{}"),
    "H": ("hidden_size", "{}"),
    "P": ("members", "{}"),
    "alone by": ("alone", "{}"),
    "alone ms": ("alone_ms", "{:.2f}"),
    "ours ms": ("population_ms", "{:.2f}"),
    "floor ms": ("floor_ms", "{:.2f}"),
    "gain": ("gain", "{:.1f}×"),
    "to floor": ("to_floor", "{:.1f}×"),
    "of gru": ("of_gru", "{:.0%}"),
}
"""Headings of the table."""


class TorchModel(nn.Module):
    """Embedding, torch's own recurrent module, linear readout."""

    def __init__(self, module: Callable[..., nn.Module], words: int, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(words, EMBEDDING)
        self.cell = module(EMBEDDING, hidden_size)
        self.readout = nn.Linear(hidden_size, classes)

    def forward(self, inputs: Tensor, queries: Sequence[int]) -> Tensor:
        """Tokens (T, B) to answers (Q, B, C)."""
        outputs, _ = self.cell(self.encoder(inputs))  # (T, B, H)
        answers: Tensor = self.readout(outputs[queries])
        return answers


class Alone:
    """One model, trained the way of any script: batch by batch, with all cores."""

    def __init__(self, spec: CellSpec, hidden_size: int, length: int) -> None:
        task = find_task(_measure.TASK)
        module = MODULES.get(spec.name)
        self.name = f"nn.{module.__name__}" if module else "step loop"
        self.model = (
            TorchModel(module, task.inputs.size, hidden_size, task.output.size)
            if module
            else build(spec, task, hidden_size, 0)
        )
        self.adam = torch.optim.Adam(self.model.parameters(), lr=QUICK.lr[0])
        batches = [task.batch("train", 0, length - _measure.SHORTEST, i, QUICK.batch_size) for i in range(4)]
        self.batches = [
            (torch.tensor(b.inputs), torch.tensor(b.targets), b.queries.tolist()) for b in batches
        ]
        self.seconds(2)

    def seconds(self, updates: int) -> float:
        """Seconds per update, over so many."""
        began = time.perf_counter()
        for update in range(updates):
            inputs, targets, queries = self.batches[update % len(self.batches)]
            self.adam.zero_grad()
            answers = self.model(inputs, queries)
            F.cross_entropy(answers.flatten(0, 1), targets.flatten()).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), QUICK.clip)
            self.adam.step()
        return (time.perf_counter() - began) / updates


def recurrent_weights(spec: CellSpec, hidden_size: int) -> int:
    """The entries of weight matrices that a step needs whatever its input: those that learn from a state
    where the input is zero.
    """
    cell = spec.build(EMBEDDING, hidden_size)
    state = cell.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)
    state = tree_map(lambda s: torch.rand_like(s) if s.is_floating_point() else s, state)
    y, _ = cell.step(torch.zeros(1, EMBEDDING), state)
    matrices = [p for p in cell.parameters() if p.dim() > 1]
    gradients = torch.autograd.grad(y.sum(), matrices)
    return sum(int(g.count_nonzero()) for g in gradients)


def peak() -> float:
    """Operations per second of a large float32 product on all cores, the best of five."""
    a, b = torch.rand(2, PEAK_SIZE, PEAK_SIZE)
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * PEAK_SIZE**3 / min(seconds[1:])


def measure(
    cells: Sequence[str], hidden_size: int, members: int, length: int, engine: str, updates: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each cell."""
    specs = [find_cell(cell) for cell in cells]
    singles = [Alone(spec, hidden_size, length) for spec in specs]
    start = functools.partial(
        _measure.Workers, hidden_size=hidden_size, members=members, length=length, engine=engine
    )
    populations = [start(cell) for cell in cells]
    alone: list[list[float]] = [[] for _ in cells]
    together: list[list[float]] = [[] for _ in cells]
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for i, (single, population) in enumerate(zip(singles, populations, strict=True)):
            alone[i].append(single.seconds(updates))
            together[i].append(population.seconds(updates))
    for population in populations:
        population.stop()
    best = statistics.median(peaks)
    rows = []
    for i, (spec, single) in enumerate(zip(specs, singles, strict=True)):
        a, b = 1e3 * statistics.median(alone[i]), 1e3 * statistics.median(together[i])
        weights = recurrent_weights(spec, hidden_size)
        floor = 1e3 * 3 * 2 * QUICK.batch_size * length * weights / best
        rows.append(
            {
                "cell": spec.id,
                "hidden_size": hidden_size,
                "members": members,
                "engine": engine,
                "length": length,
                "alone": single.name,
                "alone_ms": a,
                "population_ms": b,
                "floor_ms": floor,
                "gain": a / b,
                "to_floor": b / floor,
                "peak_gflops": best / 1e9,
            }
        )
    by_cell = {row["cell"]: row["population_ms"] for row in rows}
    for row in rows:
        compared = row["cell"] == "plain-gru" and "gru" in by_cell
        row["of_gru"] = by_cell["gru"] / row["population_ms"] if compared else None
    return rows


@click.command()
@click.option("--cell", "cells", multiple=True, default=CELLS, help="A cell's id or file. Repeatable.")
@click.option(
    "--size",
    "sizes",
    type=(int, int),
    multiple=True,
    default=((32, 32), (64, 8), (128, 8)),
    help="Hidden size and members. Repeatable.",
)
@click.option("--length", default=100, show_default=True, help="Steps of a sequence.")
@click.option("--engine", default="compiled", show_default=True, help="eager or compiled.")
@click.option("--updates", default=10, show_default=True, help="Updates of a measurement.")
@click.option("--rounds", default=7, show_default=True, help="Measurements of each.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per cell and size.")
def main(
    cells: tuple[str, ...],
    sizes: tuple[tuple[int, int], ...],
    length: int,
    engine: str,
    updates: int,
    rounds: int,
    as_json: bool,
) -> None:
    """Time per member and update: torch alone, our populations, and the floor.

    \b
    Example: python benchmarks/engine.py --cell gru --size 64 8
    """
    machine = _measure.machine()
    torch.set_num_threads(machine["cores"])
    rows = []
    for hidden_size, members in sizes:
        rows += measure(cells, hidden_size, members, length, engine, updates, rounds)
    peaks = statistics.median(row["peak_gflops"] for row in rows)
    title = (
        f"per member and update, T = {length}, B = {QUICK.batch_size}, {engine}; {peaks:.0f} GFLOP/s at peak"
    )
    _measure.show(title, rows, COLUMNS, machine, as_json)


if __name__ == "__main__":
    main()
