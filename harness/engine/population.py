"""What trains together, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from harness.protocol import Protocol
from harness.registry import CellSpec
from harness.task import Split, Task


class Member(NamedTuple):
    """One training: a repetition (its data and initial weights) at a learning rate."""

    repetition: int
    lr: float


@dataclass(frozen=True)
class Population:
    """Members that share everything but repetition and learning rate, and so train as one program."""

    spec: CellSpec
    task: Task
    protocol: Protocol
    hidden_size: int
    gap: int | None
    """The gap trained at; None where the protocol mixes them."""
    members: tuple[Member, ...]

    def training_gap(self, update: int) -> int:
        """The gap of this update (counted from 1), the same for every member."""
        if self.gap is not None:
            return self.gap
        return self.protocol.training_gap(self.task.id, self.task.min_gap, update)

    @property
    def scored_gaps(self) -> tuple[int, ...]:
        """The gaps at which a member is scored."""
        return (self.gap,) if self.gap is not None else self.protocol.evaluated(self.task.min_gap)

    @property
    def trained_gaps(self) -> tuple[int, ...]:
        """Of the scored gaps, those within the range trained."""
        return tuple(gap for gap in self.scored_gaps if not self.protocol.extrapolated(gap))


class Count(NamedTuple):
    """How many of n answers were right."""

    n: int
    n_correct: int


class Check(NamedTuple):
    """A point of a learning curve: mean training loss since the last one, and validation accuracy."""

    update: int
    loss: float
    accuracy: float


@dataclass
class Trained:
    """What became of a member."""

    outcome: Literal["finished", "diverged"] = "finished"
    diverged_at: int | None = None
    """The update whose loss or gradient was not finite."""
    updates: int = 0
    solved_at: int | None = None
    seconds: float = 0.0
    """Its share of the population's time."""
    engine: str = ""
    """How it was trained in the end: reference, eager or compiled."""
    counts: Mapping[tuple[Split, int], Count] = field(default_factory=dict)
    """By split and gap; empty for a member that diverged."""
    checks: list[Check] = field(default_factory=list)


class Progress(NamedTuple):
    """How far a population is; loss and accuracy are means over the members still training."""

    update: int
    updates: int
    training: int
    members: int
    loss: float | None
    accuracy: float | None
