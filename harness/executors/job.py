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


@dataclass(frozen=True)
class Trial:
    """A cell to load and to build as a plan does, and no more, before the driver does it itself: should it
    never return, or end its process, then here. What it raises in doing so is left to the driver to find.
    """

    cell: str
    """As the user wrote it."""
    hidden_size: int | None
    """None: the width that the budget buys."""
    budget: int


class Done(NamedTuple):
    """A population that was trained, and by what."""

    trained: "list[Trained]"
    provenance: dict[str, Any]


class Failed(NamedTuple):
    """A population that was not: the cell raised (`crashed`), or the machine or its user gave in."""

    outcome: Literal["crashed", "timed-out", "out-of-memory", "killed"]
    reason: str
    update: int
    seconds: float
    provenance: dict[str, Any]
    output: str = ""
    """The last of what its worker printed."""


Outcome = Done | Failed
