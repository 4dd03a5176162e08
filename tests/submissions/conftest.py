"""What the cells' tests share: building in float64, unrolling, comparing gradients."""

from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from harness.cell import Cell, State
from harness.registry import find_cell


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture
def build() -> Callable[..., Cell]:
    """build(id, D, H): the cell in float64, its weights well away from zero, so that every term counts."""

    def make(id: str, input_size: int = 5, hidden_size: int = 8) -> Cell:
        cell = find_cell(id).build(input_size, hidden_size).double()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.5)
        return cell

    return make


@pytest.fixture
def zero_state() -> Callable[[Cell, int], State]:
    return lambda cell, batch: cell.initial_state(batch, device=torch.device("cpu"), dtype=torch.float64)


@pytest.fixture
def unroll() -> Callable[[Cell, Tensor, State], tuple[Tensor, State]]:
    """unroll(cell, x (T, B, D), state): outputs (T, B, H) and the last state, step by step."""

    def run(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for x_t in x.unbind():
            y, state = cell.step(x_t, state)
            outputs.append(y)
        return torch.stack(outputs), state

    return run


@pytest.fixture
def same_gradients() -> Callable[..., None]:
    """same_gradients(ours, theirs, pairs): the gradients of two results, by each of the pairs of tensors.

    A result is any pytree; both are weighed by the same random weights. A pair may name what of theirs is to
    be compared by a function of its gradient.
    """

    def check(ours: State, theirs: State, pairs: Mapping[str, tuple]) -> None:
        weights = [torch.randn_like(leaf) for leaf in tree_leaves(theirs)]

        def gradients(result: State, leaves: list[Tensor]) -> tuple[Tensor, ...]:
            total = sum((leaf * w).sum() for leaf, w in zip(tree_leaves(result), weights, strict=True))
            return torch.autograd.grad(total, leaves)

        here = gradients(ours, [pair[0] for pair in pairs.values()])
        there = gradients(theirs, [pair[1] for pair in pairs.values()])
        for (name, pair), a, b in zip(pairs.items(), here, there, strict=True):
            expected = pair[2](b) if len(pair) == 3 else b
            torch.testing.assert_close(a, expected, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")
            assert expected.abs().max() > 0, name

    return check
