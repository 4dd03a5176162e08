"""Encoder → cell → readout, and the width that a parameter budget buys.

Encoder and readout belong to the harness and are the same for every cell; only the cell counts towards a
budget.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from harness.cell import Cell, State, count_parameters, has_projection
from harness.errors import UserError
from harness.registry import CellSpec
from harness.streams import Stream
from harness.task import Task, Tokens

EMBEDDING = 32
"""D, what the encoder gives and every cell reads."""


class Model(nn.Module):
    """A task's inputs to its answers: encoder (token lookup, or linear for reals), cell, linear readout."""

    def __init__(self, spec: CellSpec, task: Task, hidden_size: int) -> None:
        super().__init__()
        inputs = task.inputs
        self.encoder: nn.Module = (
            nn.Embedding(inputs.size, EMBEDDING)
            if isinstance(inputs, Tokens)
            else nn.Linear(inputs.size, EMBEDDING)
        )
        self.cell: Cell = spec.build(EMBEDDING, hidden_size)
        self.readout = nn.Linear(self.cell.hidden_size, task.output.size)

    def features(self, inputs: Tensor) -> Tensor:
        """Tokens (…) or reals (…, D) to what a step reads: inputs of the cell, projected if it projects."""
        x: Tensor = self.encoder(inputs)
        return self.cell.project(x) if has_projection(self.cell) else x

    def start(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> State:
        """The state before the first step."""
        return self.cell.initial_state(batch_size, device=device, dtype=dtype)

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step, from what `features` gave."""
        return self.cell.recur(x, state) if has_projection(self.cell) else self.cell.step(x, state)

    def outputs(self, inputs: Tensor, queries: Sequence[int]) -> Tensor:
        """The reference: inputs (T, B) or (T, B, D) to the cell's outputs at the queries (Q, B, H)."""
        x = self.encoder(inputs)
        state = self.start(inputs.shape[1], x.device, x.dtype)
        asked, outputs = set(queries), []
        for t, x_t in enumerate(x.unbind()):
            y, state = self.cell.step(x_t, state)
            if t in asked:
                outputs.append(y)
        return torch.stack(outputs)

    def unrolled(self, inputs: Tensor, queries: Sequence[int]) -> Tensor:
        """The same as `outputs`, by the cell's own `unroll`."""
        x = self.encoder(inputs)
        y, _ = self.cell.unroll(x, self.start(inputs.shape[1], x.device, x.dtype))
        return y[list(queries)]

    def forward(self, inputs: Tensor, queries: Sequence[int]) -> Tensor:
        """Inputs (T, B) or (T, B, D) to answers (Q, B, C) at the queries, step by step."""
        answers: Tensor = self.readout(self.outputs(inputs, queries))
        return answers


def build(spec: CellSpec, task: Task, hidden_size: int, repetition: int) -> Model:
    """The model of a member. Its weights depend on cell, options, width, task and repetition alone."""
    with _seeded(spec.id, hidden_size, task.id, repetition):
        return Model(spec, task, hidden_size)


@contextmanager
def _seeded(*key: str | int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(Stream("weights", *key).integers(2**31, 1)[0]))
        yield


def state_floats(cell: Cell) -> int:
    """The numbers that a cell carries from one step to the next, measured."""
    state = cell.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)
    return sum(leaf.numel() for leaf in tree_leaves(state) if isinstance(leaf, Tensor))


def solve_width(spec: CellSpec, budget: int) -> int:
    """The largest admissible hidden size whose measured cell parameters do not exceed the budget.

    Frozen parameters count like others. When even the smallest size exceeds the budget, a reference has that
    one; of other cells it is a UserError.
    """

    def parameters(width: int) -> int:
        with _seeded(spec.id, width):
            return count_parameters(spec.build(EMBEDDING, width))

    best, high = 0, 1
    while not (widths := list(spec.widths(best + 1, high))) or parameters(widths[-1]) <= budget:
        best, high = (widths[-1] if widths else best), 2 * high
        if high > 2 * budget:
            raise UserError(
                f"cell {spec.id} admits no width whose parameters fit, or fill, a budget of {budget:,}"
            )
    while len(widths) > 1:  # the last is too wide
        middle = (len(widths) - 1) // 2
        if parameters(widths[middle]) <= budget:
            best, widths = widths[middle], widths[middle + 1 :]
        else:
            widths = widths[: middle + 1]
    if best == 0:
        smallest = next(islice(spec.widths(1, high), 1))
        if spec.cls.reference:
            return smallest
        raise UserError(
            f"cell {spec.id} has {parameters(smallest):,} parameters at its smallest width, "
            f"over the budget of {budget:,}"
        )
    return best
