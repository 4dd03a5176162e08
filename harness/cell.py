"""What a cell is.

Letters: T time, B batch, D input features, H output features, G features of the input projection.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

State: TypeAlias = Any
"""Any pytree of tensors whose first dimension is the batch."""


class Cell(nn.Module):
    """A recurrent cell: one step of a recurrence, and the state it starts from.

    A subclass writes `__init__`, `initial_state` and `step`; the keyword parameters of its `__init__` are its
    options, each with a default. `step` draws no random numbers and changes no buffer: all that it remembers
    is in the state, and each row of a batch is by itself. What of a step does not depend on the state is
    found when it is traced and done once for a whole sequence. A cell may write besides, changing no result:

    `project(x: (..., D)) -> (..., G)` with `recur(pre: (B, G), state) -> (y: (B, H), state)`
        the step in two, where that reads better. A cell that writes these two need not write `step`.
    `unroll(x: (T, B, D), state) -> (y: (T, B, H), state)`
        the whole sequence at once, used where it is quicker than steps.
    """

    input_size: int
    """D, the features of one input."""
    hidden_size: int
    """H, the features of one output."""
    reference: ClassVar[bool] = False
    """Whether it stands outside the comparison: its width is what a budget buys, as far as it buys any, but
    tables show it as a reference. Written as `reference = True`, which is read off the file."""
    expected_failures: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """By the name of a conformance check, why this cell has to fail it. Written out in the file, where the
    board reads it."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> State:
        """The state before the first input, a tensor (B, …) or a pytree of such."""
        raise NotImplementedError(f"{type(self).__name__} has no initial_state")

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: x (B, D) and the state to the output (B, H) and the next state."""
        if not has_projection(self):
            raise NotImplementedError(f"{type(self).__name__} has neither step nor project and recur")
        return self.recur(self.project(x), state)

    def project(self, x: Tensor) -> Tensor:
        """The part of the step that depends on the input alone: (..., D) to (..., G). Optional."""
        raise NotImplementedError

    def recur(self, pre: Tensor, state: State) -> tuple[Tensor, State]:
        """The rest of the step, from what `project` gave: (B, G) and the state. Optional."""
        raise NotImplementedError

    def unroll(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps: x (T, B, D) and the state to the outputs (T, B, H) and the last state. Optional."""
        raise NotImplementedError

    @classmethod
    def widths(cls, low: int, high: int, **options: Any) -> Iterable[int]:
        """The hidden sizes in [low, high] that the cell admits with these options, rising."""
        return range(low, high + 1)

    def parameter_masks(self) -> Mapping[str, Tensor]:
        """For each parameter with structural zeros, by name, a mask of its shape: false where it is zero.

        A masked entry does not count as a parameter. The cell applies the mask itself, at every use.
        """
        return {}


def overrides(cell: Cell, method: str) -> bool:
    """Whether the cell's class writes the optional method."""
    return getattr(type(cell), method) is not getattr(Cell, method)


def has_projection(cell: Cell) -> bool:
    """Whether the cell splits its step into `project` and `recur`."""
    return overrides(cell, "project") and overrides(cell, "recur")


def count_parameters(cell: Cell) -> int:
    """The number of parameters, less their structural zeros."""
    masks = cell.parameter_masks()
    return sum(int(masks[name].sum()) if name in masks else p.numel() for name, p in cell.named_parameters())


class Stack(Cell):
    """Several cells, each reading the outputs of the one before; the option `layers` of every cell."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        layers = list(cells)
        super().__init__(layers[0].input_size, layers[-1].hidden_size)
        self.layers = nn.ModuleList(layers)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> State:
        """The layers' states, in order."""
        return tuple(layer.initial_state(batch_size, device=device, dtype=dtype) for layer in self._cells())

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of each layer, from the bottom up."""
        states = []
        for cell, before in zip(self._cells(), state, strict=True):
            x, after = cell.step(x, before)
            states.append(after)
        return x, tuple(states)

    def parameter_masks(self) -> Mapping[str, Tensor]:
        """The layers' masks."""
        return {
            f"layers.{i}.{name}": mask
            for i, cell in enumerate(self._cells())
            for name, mask in cell.parameter_masks().items()
        }

    def _cells(self) -> list[Cell]:
        return [layer for layer in self.layers if isinstance(layer, Cell)]


class UnrollingStack(Stack):
    """A stack of cells that all have an `unroll`."""

    def unroll(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps of each layer, from the bottom up."""
        states = []
        for cell, before in zip(self._cells(), state, strict=True):
            x, after = cell.unroll(x, before)
            states.append(after)
        return x, tuple(states)


def stack(cells: Iterable[Cell]) -> Stack:
    """The cells as one, which unrolls if all of them do."""
    layers = list(cells)
    return (UnrollingStack if all(overrides(cell, "unroll") for cell in layers) else Stack)(layers)
