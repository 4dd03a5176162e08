"""What goes into the store."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

RunOutcome = Literal["finished", "diverged", "crashed"]
"""Final: such a run is never trained again. One that diverged or crashed is scored as chance."""

AttemptOutcome = Literal["finished", "timed-out", "out-of-memory", "killed", "interrupted"]
"""How an attempt ended. The middle three are failures; `interrupted` is the user's wish, and no failure."""


def canonical(data: Mapping[str, Any]) -> str:
    """Plain data as the one JSON text that stands for it."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class RunRequest:
    """Everything that determines a run: one member, trained once."""

    cell: str
    """Canonical id without version: `lstm[layers=2]`."""
    cell_name: str
    cell_version: str
    """The hash of the cell's source."""
    task: str
    """Canonical id: `gap-copy@1`."""
    protocol: str
    """Canonical id: `quick@1`, or `quick@1[updates=500]`."""
    division: str
    """`closed` or `open`."""
    repetition: int
    lr: float
    gap: int | None
    """The gap trained; None when gaps are mixed."""
    hidden_size: int
    dtype: str
    """`float32`."""
    numerics: int
    """The engine's number, raised when results may change."""

    @property
    def key(self) -> str:
        """The hash of all of it: the same request has the same key, for ever and everywhere."""
        return digest(canonical({**asdict(self), "lr": float(self.lr)}))


class Score(NamedTuple):
    """The right answers of a run at one gap of one split."""

    split: str
    gap: int
    n: int
    """Answers asked for."""
    n_correct: int | None
    """None: the run failed, and counts as chance."""
    chance: float
    extrapolated: bool
    """Whether the gap is beyond those trained."""


class Point(NamedTuple):
    """A point of a learning curve. What is None or not finite is not known."""

    update: int
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True)
class RunResult:
    """What came out of a run."""

    request: RunRequest
    outcome: RunOutcome
    outcome_update: int | None
    """The update at which it diverged or crashed."""
    reason: str | None
    """The message of what crashed."""
    cell_parameters: int
    state_floats: int
    updates: int
    """Updates trained."""
    updates_to_solve: int | None
    gap_auc: float | None
    """Of this run alone, on test."""
    seconds: float
    """Its share of its population's."""
    provenance: Mapping[str, Any]
    """Plain data: code version, dirty flag, torch, device, threads, engine, …"""
    scores: Sequence[Score]
    curve: Sequence[Point]


@dataclass(frozen=True)
class Card:
    """What a page shows of a cell or a task without importing it."""

    kind: Literal["cell", "task"]
    id: str
    """Canonical: as RunRequest has it."""
    version: str
    name: str
    docstring: str
    source: str
    options: Mapping[str, Any]
    """Plain data: every option with its value."""


class Recorded(NamedTuple):
    """A run with all that it refers to."""

    result: RunResult
    cell: Card
    task: Card
    protocol: Mapping[str, Any]
    """What its id stands for."""
    created: float
    """When it was recorded first, in seconds since 1970, in UTC."""

    @property
    def order(self) -> tuple[Any, ...]:
        """What runs are sorted by, the same in every store."""
        r = self.result.request
        at = -1 if r.gap is None else r.gap
        return r.cell, r.task, r.protocol, r.cell_version, r.numerics, r.hidden_size, at, r.lr, r.repetition
