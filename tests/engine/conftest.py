"""What the engine's tests share: tasks and cells of their own, and stacks of models in float64."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import plugin_cells
import pytest
import torch
from torch import Tensor

from harness.engine import Member, Population, Settings
from harness.engine.data import MemberBatch, Source
from harness.engine.stack import StackedModel
from harness.model import Model, build
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import CellSpec, find_cell, find_task
from harness.streams import Stream
from harness.task import Batch, Real, Reals, Task

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Difference(Task):
    """Of two features, how much the first sum has outgrown the second, asked at two moments."""

    name: ClassVar[str] = "difference"
    version: ClassVar[int] = 1

    inputs = Reals(2)
    output = Real(0.25)

    def chance(self, gap: int) -> float:
        return 0.1

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        x = stream.uniform((gap + 5, size, 2))
        queries = np.array([gap, gap + 3])
        targets = (x[..., 0] - x[..., 1]).cumsum(axis=0)[queries]
        return Batch(x, targets, queries, np.zeros(x.shape[:2], dtype=np.int8))

    def solve(self, batch: Batch) -> Any:
        raise NotImplementedError

    def alternatives(self, batch: Batch, row: int, t: int) -> Any:
        raise NotImplementedError


TASKS = {"tokens": find_task("gap-copy"), "reals": Difference()}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    """A task of tokens and classes, and one of reals."""
    return TASKS[request.param]


@pytest.fixture
def cell(tmp_path) -> Callable[[str], CellSpec]:
    """cell("gru") or cell("step_only"): a registered cell, or a plugin loaded from its file."""

    def find(name: str) -> CellSpec:
        plugin = name in plugin_cells._BODIES
        return find_cell(plugin_cells.write(tmp_path, name) if plugin else name)

    return find


@dataclass
class Members:
    """Models of different repetitions, one by one and as a stack, with a batch of each."""

    task: Task
    models: list[Model]
    flat: Tensor
    batch: MemberBatch

    def stacked(self, engine: Any) -> StackedModel:
        return StackedModel(self.models, SimpleNamespace(engine=engine))

    def losses_and_gradient(self, engine: Any) -> tuple[Tensor, Tensor]:
        """Losses (P,) and gradients (P, N) of weighted losses."""
        flat = self.flat.clone().requires_grad_()
        losses = self.stacked(engine).losses(flat, self.batch, self.task.output)
        weights = torch.arange(1, len(losses) + 1, dtype=losses.dtype)
        (gradient,) = torch.autograd.grad((losses * weights).sum(), flat)
        return losses.detach(), gradient


@pytest.fixture
def members(cell, task) -> Callable[..., Members]:
    """members("gru"): three of them, at a length that no chunk divides."""

    def make(name: str, dtype: torch.dtype = torch.float64, gap: int = 31) -> Members:
        repetitions = [0, 1, 2]
        models = [build(cell(name), task, 8, r).to(dtype) for r in repetitions]
        flat = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models])
        batch = Source(task, repetitions, CPU, dtype).draw("train", gap, 1, 5)
        return Members(task, models, flat, batch)

    return make


@pytest.fixture
def population(cell) -> Callable[..., Population]:
    """population("rnn", members=[(0, 0.01)], updates=20): small and quick."""

    def make(
        name: str = "rnn",
        members: list[tuple[int, float]] = [(0, 0.01)],  # noqa: B006
        *,
        gap: int | None = 2,
        task: str = "tokens",
        **rules: Any,
    ) -> Population:
        base = QUICK_MIXED if gap is None else QUICK
        small = {"updates": 12, "batch_size": 8, "rows": 256, "solved_accuracy": 2.0}
        protocol = replace(base, **{**small, **rules})
        return Population(cell(name), TASKS[task], protocol, 8, gap, tuple(Member(*m) for m in members))

    return make


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """settings(engine="eager"): in float64, on the CPU."""
    return lambda **how: Settings(**{"device": CPU, "dtype": torch.float64, "engine": "eager", **how})


@pytest.fixture(autouse=True)
def _no_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
