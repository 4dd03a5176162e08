"""What crosses between the driver and a worker: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from harness.engine import Trained


EngineName = Literal["auto", "reference", "eager", "compiled"]
"""How the cells are run; `auto` compiles where that pays."""


@dataclass(frozen=True)
class Job:
    """A population to train. The worker finds the cell by its file and refuses another version of it."""

    cell: str
    """The cell's file with its options, as `find_cell` reads it."""
    cell_version: str
    task: str
    protocol: Mapping[str, Any]
    """The fields of the Protocol."""
    hidden_size: int
    gap: int | None
    members: tuple[tuple[int, float], ...]
    """Repetition and learning rate of each."""
    cost: float
    """Steps of one member, times members: what jobs are ordered and divided by."""


class Done(NamedTuple):
    """A population that was trained, and by what."""

    trained: "list[Trained]"
    provenance: dict[str, Any]


class Failed(NamedTuple):
    """A population that was not: the cell raised (`crashed`), or the machine gave in."""

    outcome: Literal["crashed", "out-of-memory", "killed"]
    reason: str
    update: int
    seconds: float
    provenance: dict[str, Any]


Outcome = Done | Failed
