"""What is to be run: requests for cells on tasks under protocols, and the curves and runs they come to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from harness.errors import BrokenFile, UserError
from harness.protocol import Protocol, find_protocol
from harness.registry import CellSpec, cell_files, find_cell, find_task, suite
from harness.store import RunRequest
from harness.task import Task


@dataclass(frozen=True)
class Request:
    """Cells on tasks under a protocol: what `harness run` trains, and a sweep several of."""

    cells: tuple[str, ...]
    tasks: tuple[Task, ...]
    protocol: Protocol
    place: str = ""
    """Where it is written, for errors: `sweep.toml, run 2, `."""

    @classmethod
    def of(
        cls,
        cell: str | Sequence[str],
        task: str | Sequence[str],
        protocol: str = "quick",
        *,
        train: Literal["fixed", "mixed"] | None = None,
        gaps: Sequence[int] | None = None,
        updates: int | None = None,
        lr: Sequence[float] | None = None,
        hidden_size: int | None = None,
        repetitions: int | None = None,
        place: str = "",
    ) -> "Request":
        """As `harness.run` takes it. Raises UserError where it makes no sense, whatever the cells are."""
        changes = {
            "gaps": None if gaps is None else tuple(sorted(set(gaps))),
            "updates": updates,
            "lr": None if lr is None else tuple(sorted(set(lr))),
            "hidden_size": hidden_size,
            "repetitions": repetitions,
        }
        rules = find_protocol(protocol, train).vary(**{k: v for k, v in changes.items() if v is not None})
        tasks = tuple(find_task(text) for text in _expand(task, suite))
        for gap, one in product(gaps or (), tasks):
            one.require(gap)
        return cls(tuple(_expand(cell, cell_files)), tasks, rules, place)

    @property
    def most(self) -> int:
        """Runs that it comes to at most: some may be done, and a gap be below a task's smallest."""
        rules = self.protocol
        models = len(rules.gaps) if rules.train == "fixed" else 1
        return len(self.cells) * len(self.tasks) * models * len(rules.lr) * rules.repetitions

    def found(self) -> tuple[list[CellSpec], list[str]]:
        """Its cells, and why those of broken files cannot be had. Raises UserError on an unknown one."""
        cells, broken = [], []
        for name in self.cells:
            try:
                cells.append(find_cell(name))
            except BrokenFile as error:
                broken.append(str(error))
            except UserError as error:
                raise UserError(f"{self.place}{error}") from None
        return cells, broken


def _expand(asked: str | Sequence[str], everything: Callable[[], Iterable[str]]) -> list[str]:
    names = [asked] if isinstance(asked, str) else list(asked)
    return [name for text in names for name in (everything() if text == "all" else [text])]


@dataclass(frozen=True)
class Entry:
    """A cell on a task under a protocol: one curve, and every run it needs."""

    spec: CellSpec
    task: Task
    protocol: Protocol
    hidden_size: int
    cell_parameters: int
    state_floats: int
    requests: tuple[RunRequest, ...]

    @property
    def id(self) -> tuple[str, str, str]:
        """What tells it from the others of a plan."""
        return self.spec.id, self.task.id, self.protocol.id

    @property
    def keys(self) -> list[str]:
        """The keys of its runs."""
        return [request.key for request in self.requests]


def plan(requests: Iterable[Request]) -> tuple[list[Entry], list[str]]:
    """The curves of all these requests, each once, and why cells cannot be had or built, a line each.

    Where two requests differ in repetitions alone, the more of them are planned. Raises UserError where a
    cell is unknown, and where no cell is left.
    """
    entries: dict[tuple[str, str, str], Entry] = {}
    refused: dict[str, None] = {}
    for request in requests:
        cells, broken = request.found()
        refused |= dict.fromkeys(broken)
        for spec in cells:
            try:
                made = [plan_entry(spec, task, request.protocol) for task in request.tasks]
            except UserError as error:
                refused[f"{request.place}{error}"] = None
                continue
            for entry in made:
                if len(entry.requests) > len(entries[entry.id].requests if entry.id in entries else ()):
                    entries[entry.id] = entry
    if refused and not entries:
        raise UserError(next(iter(refused)))
    return list(entries.values()), list(refused)


def plan_entry(spec: CellSpec, task: Task, protocol: Protocol) -> Entry:
    """All the runs of one curve. Raises UserError when the cell cannot be built within the protocol."""
    from harness.cell import count_parameters
    from harness.engine import NUMERICS
    from harness.model import build, solve_width, state_floats

    gaps: Iterable[int | None] = (None,) if protocol.train == "mixed" else protocol.evaluated(task.min_gap)
    hidden_size = protocol.hidden_size or solve_width(spec, protocol.budget)
    with spec.refusals():
        cell = build(spec, task, hidden_size, 0).cell
        parameters, floats = count_parameters(cell), state_floats(cell)
    requests = tuple(
        RunRequest(
            cell=spec.id,
            cell_name=spec.name,
            cell_version=spec.file.version,
            task=task.id,
            protocol=protocol.id,
            division=protocol.division,
            repetition=repetition,
            lr=lr,
            gap=gap,
            hidden_size=hidden_size,
            dtype="float32",
            numerics=NUMERICS,
        )
        for gap in gaps
        for lr in protocol.lr
        for repetition in range(protocol.repetitions)
    )
    return Entry(spec, task, protocol, hidden_size, parameters, floats, requests)
