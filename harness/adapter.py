"""Existing modules as cells.

Letters: T time, B batch, D input features, H output features.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from harness.cell import Cell, State


class ModuleCell(Cell):
    """A module with the calling convention of `nn.GRU`, (x (T, B, D), state) to (y (T, B, H), state), as a
    cell.

    Three lines make one of it; what else the module takes goes through `super().__init__`:

    >>> class TorchGRU(ModuleCell):
    ...     '''torch's own GRU.'''
    ...     module = nn.GRU
    >>> cell = TorchGRU(32, 64)
    >>> state = cell.initial_state(5, device=torch.device("cpu"), dtype=torch.float32)
    >>> y, state = cell.step(torch.zeros(5, 32), state)
    >>> y.shape, state.shape
    (torch.Size([5, 64]), torch.Size([5, 1, 64]))

    The state starts at zero, in the form in which the module gives it; of each of its tensors the batch, in
    whichever dimension it is, comes first. The module is built and run once on two batch sizes to find out.
    Raises ValueError when it does not keep to the convention.
    """

    module: ClassVar[type[nn.Module]]
    """The module's class, called with D, H and what `__init__` is given."""

    def __init__(self, input_size: int, hidden_size: int, **arguments: Any) -> None:
        super().__init__(input_size, hidden_size)
        self.inner = type(self).module(input_size, hidden_size, **arguments)
        with torch.no_grad():
            (y, two), (_, three) = (self.inner(torch.zeros(1, size, input_size)) for size in (2, 3))
        if y.shape != (1, 2, hidden_size):
            name = type(self.inner).__name__
            raise ValueError(f"{name} gives {tuple(y.shape)} for an input (1, 2, {input_size})")
        leaves, self._form = tree_flatten(two)
        shapes = [(a.shape, b.shape) for a, b in zip(leaves, tree_flatten(three)[0], strict=True)]
        self._batch = [
            next(i for i, (a, b) in enumerate(zip(*pair, strict=True)) if a != b) for pair in shapes
        ]
        self._shapes = [(*a[:i], *a[i + 1 :]) for (a, _), i in zip(shapes, self._batch, strict=True)]

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> State:
        """Zero, in the module's form, the batch first."""
        zeros = [torch.zeros(batch_size, *shape, device=device, dtype=dtype) for shape in self._shapes]
        return tree_unflatten(zeros, self._form)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, D), state with the batch first."""
        y, state = self.unroll(x[None], state)
        return y[0], state

    def unroll(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (T, B, D), state with the batch first."""
        y, after = self.inner(x, self._moved(state, back=True))
        return y, self._moved(after, back=False)

    def _moved(self, state: State, *, back: bool) -> State:
        leaves, _ = tree_flatten(state)
        moved = [
            leaf.movedim(0, batch).contiguous() if back else leaf.movedim(batch, 0)
            for leaf, batch in zip(leaves, self._batch, strict=True)
        ]
        return tree_unflatten(moved, self._form)
