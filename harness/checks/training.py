"""Checks that train: with the cue of another row, on a frozen reservoir, and by guessing weights."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.checks.chance import limit
from harness.checks.check import Found
from harness.engine import Count, Member, Population, Settings, train
from harness.model import solve_width
from harness.protocol import QUICK
from harness.registry import find_cell
from harness.streams import Stream
from harness.task import Batch, Classes, Role, Split, Task, Tokens

UPDATES, LR = 300, 2e-2
"""Enough for a GRU of the budget of `quick` at the smallest gaps."""
FARTHER = 14
"""How much larger the larger gap of the reservoir is."""
DONORS = 1 << 30
"""The index of the first batch that gives cues away."""
NETS, UNITS, WEIGHT, GUESSED_ROWS = 1000, (1, 8), 100.0, 64
"""How many networks of how many units are guessed, within which weights, and the rows that tell."""


def ablation(task: Task) -> Found:
    """A GRU, trained as ever, then tested on rows that have the cue of others.

    The other rows are drawn by themselves, so that their cues tell nothing of a row's answer: what it still
    gets right it did not have from the cue.
    """
    gap, _ = _small_and_larger(task)
    counts = _train("gru", task, gap)
    learned, shuffled = _share(counts["validation", gap]), _share(counts["test", gap])
    chance = task.chance(gap)
    bound = limit(chance, QUICK.rows)
    figures = {"gap": gap, "accuracy": learned, "shuffled": shuffled, "chance": chance, "limit": bound}
    measured = (
        f"gru at gap {gap}: {learned:.3f}, with the cue of another row {shuffled:.3f} (limit {bound:.3f})"
    )
    if shuffled > bound:
        case = f"gap {gap}: with cues shuffled right in {shuffled:.3f}, chance is {chance:.3f}"
        return Found("failed", measured, figures, case)
    if learned <= bound:
        return Found("undecided", f"not learned: {measured}", figures)
    return Found("passed", measured, figures)


def ablated(task: Task) -> Task:
    """The task, with cues shuffled between rows in its test split."""

    class Ablated(type(task)):  # type: ignore[misc]
        def batch(self, split: Split, repetition: int, gap: int, index: int, size: int) -> Batch:
            batch: Batch = super().batch(split, repetition, gap, index, size)
            if split != "test":
                return batch
            donor = super().batch(split, repetition, gap, DONORS + index, size)
            return with_cues_of(batch, donor, gap, streaming=task.streaming)

    changed: Task = Ablated(**{field.name: getattr(task, field.name) for field in fields(task)})
    return changed


def with_cues_of(batch: Batch, donor: Batch, gap: int, *, streaming: bool) -> Batch:
    """The batch with the cues of another one's rows in place of its own, token by token; the targets stay.

    Of a streaming task the cue is all that any query hangs on: whatever is at least the gap before the last.
    """

    def cues(of: Batch) -> NDArray[np.bool_]:
        if not streaming:
            return np.asarray(of.roles == Role.CUE)
        times = np.arange(len(of.inputs))[:, None]
        return np.broadcast_to(times < of.queries[-1] - gap, of.roles.shape)

    inputs, places, given = batch.inputs.copy(), cues(batch), cues(donor)
    for row in range(inputs.shape[1]):
        here, there = np.flatnonzero(places[:, row]), np.flatnonzero(given[:, row])
        inputs[here, row] = donor.inputs[np.resize(there, len(here)), row]
    return Batch(inputs, batch.targets, batch.queries, batch.roles)


def reservoir(task: Task) -> Found:
    """What a network whose recurrence does not train comes to on validation, beside a GRU, at two gaps."""
    gaps = _small_and_larger(task)
    figures: dict[str, Any] = {"gaps": gaps}
    for cell in ("gru", "reservoir"):
        figures[cell] = [_share(_train(cell, task, gap)["validation", gap]) for gap in gaps]
    shown = ", ".join(
        f"{figures['reservoir'][i]:.3f} at gap {gap} (gru {figures['gru'][i]:.3f})"
        for i, gap in enumerate(gaps)
    )
    return Found("reported", shown, figures)


def _small_and_larger(task: Task) -> tuple[int, int]:
    small = max(task.min_gap, 2)
    return small, small + FARTHER


@lru_cache(maxsize=4)
def _train(cell: str, task: Task, gap: int) -> Mapping[tuple[Split, int], Count]:
    """What a cell, once trained, has right on validation, and on test with cues shuffled. Raises RuntimeError
    when it diverges.
    """
    spec = find_cell(cell)
    rules = QUICK.vary(updates=UPDATES, gaps=(gap,))
    population = Population(
        spec, ablated(task), rules, solve_width(spec, rules.budget), gap, (Member(0, LR),)
    )
    settings = Settings(torch.device("cpu"), engine="reference")  # one small member is quickest so
    (trained,) = train(population, settings)
    if trained.outcome == "diverged":
        raise RuntimeError(f"a {cell} diverges at gap {gap}, update {trained.diverged_at}")
    return trained.counts


def _share(count: Count) -> float:
    return count.n_correct / count.n


def guessing(task: Task) -> Found:
    """How many networks of random weights answer every row of a batch, at a small and a larger gap, untrained
    (Hochreiter & Schmidhuber 1997, section 4).
    """
    solved = {gap: sum(_solved(task, gap, units) for units in UNITS) for gap in _small_and_larger(task)}
    shown = " and ".join(f"{n} at gap {gap}" for gap, n in solved.items())
    networks = NETS * len(UNITS)
    figures = {"gaps": list(solved), "networks": networks, "solved": list(solved.values())}
    return Found(
        "reported", f"of {networks:,} random networks {shown} are right on {GUESSED_ROWS} rows", figures
    )


def _solved(task: Task, gap: int, units: int) -> int:
    """Of networks of so many units, with weights uniform in ±`WEIGHT`, how many are right on all rows."""
    batch = task.batch("test", 0, gap, 8, GUESSED_ROWS)
    stream = Stream("guessed weights", task.id, gap, units)

    def weights(*shape: int) -> NDArray[np.float64]:
        return WEIGHT * (2 * stream.uniform((NETS, *shape)) - 1)

    read = _reader(task, weights(task.inputs.size, units))
    recurrent, out = weights(units, units), weights(units, task.output.size)
    state, right = np.zeros((NETS, GUESSED_ROWS, units)), np.ones(NETS, bool)
    answers = dict(zip(batch.queries.tolist(), batch.targets, strict=True))
    for t, x in enumerate(batch.inputs):
        state = np.tanh(read(x) + state @ recurrent)
        if t in answers:
            said = state @ out  # (nets, B, C)
            if isinstance(task.output, Classes):
                right &= (said.argmax(axis=2) == answers[t]).all(axis=1)
            else:
                right &= (abs(said[..., 0] - answers[t]) < task.output.tolerance).all(axis=1)
    return int(right.sum())


def _reader(task: Task, read: NDArray[np.float64]) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """What the inputs (B,) or (B, D) of a step come to by weights (nets, D or V, units): (nets, B, units)."""
    if isinstance(task.inputs, Tokens):
        return lambda x: read[:, x]
    return lambda x: np.asarray(x @ read)
