import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell, Stack, count_parameters, has_projection, overrides, stack

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


class Sum(Cell):
    """Adds up what it reads, through a weight whose second half is a structural zero."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.ones(hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.mask = torch.arange(input_size).expand(hidden_size, -1) < input_size // 2

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = state + x @ (self.weight * self.mask).T + self.bias
        return state, state

    def parameter_masks(self) -> dict[str, Tensor]:
        return {"weight": self.mask}


class Projected(Sum):
    """The same, with its projection written apart."""

    step = Cell.step

    def project(self, x: Tensor) -> Tensor:
        return x @ (self.weight * self.mask).T + self.bias

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return state + pre, state + pre


def test_a_cell_needs_a_step_or_the_two_halves_of_one():
    with pytest.raises(NotImplementedError, match="Cell has neither step nor project and recur"):
        Cell(2, 3).step(torch.zeros(1, 2), None)
    with pytest.raises(NotImplementedError, match="Cell has no initial_state"):
        Cell(2, 3).initial_state(1, **CPU)


def test_step_is_project_then_recur():
    plain, projected = Sum(4, 3), Projected(4, 3)
    x, state = torch.randn(2, 4), torch.randn(2, 3)
    torch.testing.assert_close(projected.step(x, state), plain.step(x, state))


def test_what_a_cell_writes_is_known():
    assert overrides(Sum(4, 3), "step")
    assert not overrides(Sum(4, 3), "unroll")
    assert not has_projection(Sum(4, 3))
    assert has_projection(Projected(4, 3))
    assert not overrides(Projected(4, 3), "step")


def test_half_a_projection_is_none():
    class Half(Sum):
        def project(self, x: Tensor) -> Tensor:
            return x

    assert not has_projection(Half(4, 3))


def test_structural_zeros_do_not_count():
    assert count_parameters(Sum(4, 3)) == 3 * 2 + 3


def test_any_width_is_admitted_unless_said_otherwise():
    assert list(Cell.widths(3, 6)) == [3, 4, 5, 6]
    assert list(Cell.widths(3, 6, layers=2)) == [3, 4, 5, 6]


def test_a_stack_feeds_each_layer_the_one_below():
    first, second = Sum(4, 3), Sum(3, 3)
    stack = Stack([first, second])
    assert (stack.input_size, stack.hidden_size) == (4, 3)
    state = stack.initial_state(2, **CPU)
    assert [tuple(s.shape) for s in state] == [(2, 3), (2, 3)]
    a, b = state
    for _ in range(3):
        x = torch.randn(2, 4)
        y, state = stack.step(x, state)
        middle, a = first.step(x, a)
        top, b = second.step(middle, b)
        assert torch.equal(y, top)
        assert torch.equal(state[0], a)
        assert torch.equal(state[1], b)


class Unrolling(Sum):
    """The same, all steps at once too."""

    def unroll(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y = state + (x @ (self.weight * self.mask).T + self.bias).cumsum(dim=0)
        return y, y[-1]


def test_a_stack_unrolls_where_all_its_layers_do():
    cells = [Unrolling(4, 3), Unrolling(3, 3)]
    made = stack(cells)
    assert overrides(made, "unroll")
    assert not overrides(stack([Unrolling(4, 3), Sum(3, 3)]), "unroll")
    x, start = torch.randn(5, 2, 4), (torch.randn(2, 3), torch.randn(2, 3))
    state, steps = start, []
    for x_t in x:
        y, state = made.step(x_t, state)
        steps.append(y)
    outputs, last = made.unroll(x, start)
    torch.testing.assert_close(outputs, torch.stack(steps))
    torch.testing.assert_close(last, state)


def test_a_stack_counts_and_masks_as_its_layers_do():
    stack = Stack([Sum(4, 3), Sum(3, 3)])
    assert set(stack.parameter_masks()) == {"layers.0.weight", "layers.1.weight"}
    assert set(stack.parameter_masks()) < {name for name, _ in stack.named_parameters()}
    assert count_parameters(stack) == (3 * 2 + 3) + (3 * 1 + 3)
