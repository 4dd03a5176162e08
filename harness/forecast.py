"""How long populations will take, told before they train: by what past runs took, else by what is known of a
cell and by how fast this machine is.

An update of a member costs as much as its steps and `OVERHEAD` more of them: drawing its data, the optimizer,
its share of checks and scores. Who solves its task stops, so not all updates are made.
"""

import math
import statistics
import time
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.protocol import QUICK
from harness.registry import ROOT

if TYPE_CHECKING:
    import pandas as pd

OVERHEAD = 15
"""Steps that an update costs beside its own."""
_MANY = 256
"""Words from which on a task has many: all of them are embedded, and trained, at every update."""
COSTS = ROOT / "submissions" / "costs.toml"
PROBE = 0.2
"""Seconds spent on finding how fast the machine is."""


class Work(NamedTuple):
    """A population that is to be trained."""

    cell: str
    name: str
    """The cell's, without its options."""
    task: str
    protocol: str
    gap: int | None
    hidden_size: int
    parameters: int
    members: int
    updates: int
    length: float
    """Mean steps of its sequences."""
    farthest: int
    """The largest gap that is trained."""
    words: int
    """The size of the vocabulary, or of a real input."""


class Forecast(NamedTuple):
    """How long populations will take."""

    seconds: tuple[float, ...]
    """Of each, for one worker, in their order."""
    workers: int

    @property
    def whole(self) -> float:
        """Seconds until all are done: each goes to the worker that is free first.

        >>> Forecast((5.0, 3.0, 2.0, 1.0), 2).whole
        6.0
        """
        free = [0.0] * self.workers
        heapify(free)
        for seconds in self.seconds:
            heapreplace(free, free[0] + seconds)
        return max(free)


def forecast(works: Sequence[Work], past: "pd.DataFrame", device: str, workers: int) -> Forecast | None:
    """How long these will take; None where nothing is known of this device.

    device: its kind, `cpu` or `cuda`
    past: of `Store.took`; what another host or device took tells only how soon a task is solved
    """
    paces = _paces(past, works, device)
    shares = _shares(past)
    speed = None
    seconds = []
    for work in works:
        pace = paces.get((work.cell, work.hidden_size))
        if pace is None:
            if device != "cpu":
                return None
            speed = speed or _speed()
            pace = speed * _known(work)
        share = shares.get((work.task, work.protocol, work.gap), _usual_share(work.farthest))
        seconds.append(work.members * work.updates * share * _steps(work) * pace)
    return Forecast(tuple(seconds), workers)


def _paces(past: "pd.DataFrame", works: Sequence[Work], device: str) -> dict[tuple[str, int], float]:
    """Seconds of a member's step by cell and width, as far as such a cell has trained here."""
    steps = {
        (w.task, w.protocol.partition("[")[0] if w.gap is None else None, w.gap): _steps(w) for w in works
    }
    known: dict[tuple[str, int], Any] = {}
    for row in past.itertuples():
        gap = None if math.isnan(row.gap) else int(row.gap)
        update = steps.get((row.task, row.protocol.partition("[")[0] if gap is None else None, gap))
        if (row.here, str(row.device).partition(":")[0]) == (True, device) and update is not None:
            total = known.setdefault((row.cell, row.hidden_size), np.zeros(2))
            total += row.seconds, row.updates * update
    return {key: float(seconds / made) for key, (seconds, made) in known.items() if made and seconds}


def _shares(past: "pd.DataFrame") -> dict[tuple[str, str, int | None], float]:
    """The share of its updates that a run makes, by task, protocol and gap."""
    sums: dict[tuple[str, str, int | None], Any] = {}
    for row in past.itertuples():
        key = row.task, row.protocol, None if math.isnan(row.gap) else int(row.gap)
        sums.setdefault(key, np.zeros(2))
        sums[key] += row.updates, row.asked
    return {key: float(made / asked) for key, (made, asked) in sums.items()}


def _usual_share(gap: int) -> float:
    """The share of updates that a run makes on a task of which nothing is known: a mean over the suite."""
    return min(1.0, 0.2 + 0.15 * math.log2(max(gap, 1)))


@cache
def _costs() -> Mapping[str, Any]:
    return tomllib.loads(COSTS.read_text(encoding="utf-8"))


def _steps(work: Work) -> float:
    """What an update of a member costs, in steps on a task of few words."""
    return (work.length + OVERHEAD) * (_costs()["words"] if work.words > _MANY else 1.0)


def _known(work: Work) -> float:
    """Seconds of a member's step where the probe takes one; a cell that is not known is one in the middle."""
    costs = _costs()
    table = costs["microseconds"]
    pace = table.get(work.name) or statistics.median(table.values())
    wider = (work.parameters / QUICK.budget) ** costs["wider"]
    return float(pace * 1e-6 / costs["probe"] * wider)


def _speed() -> float:
    """Seconds that this machine takes now, on one core, for a fixed piece of work like that of a cell."""
    x, w = np.full((64, 32), 0.5, np.float32), np.full((32, 96), 0.01, np.float32)
    began = time.perf_counter()
    rounds = 0
    while (passed := time.perf_counter() - began) < PROBE:
        for _ in range(10):
            y = np.tanh(x @ w)
            y *= y
        rounds += 10
    return passed / rounds


def duration(seconds: float) -> str:
    """A time in the unit that fits it.

    >>> duration(7), duration(200), duration(9000), duration(200_000)
    ('7 s', '3 min', '2.5 h', '2.3 days')
    """
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            number = max(seconds, 0) / size
            return f"{number:.1f} {unit}" if unit == "h" else f"{number:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"
