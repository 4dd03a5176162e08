"""Tracing a step: what comes out, and what cannot be traced."""

import plugin_cells
import pytest
import torch
from torch import Tensor, fx
from torch.func import vmap

from harness.engine.engines import Traced, Untraceable
from harness.engine.step import trace

P, B, H = 3, 4, 8


def advance(parameters: dict[str, Tensor], x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    h = torch.tanh(x + state @ parameters["U"].T) * parameters["scale"] + 1
    return h, h


def traced(advance, state: Tensor | None = None):
    torch.manual_seed(0)
    parameters = {
        "idle": torch.randn(P, 5).double(),
        "U": torch.randn(P, H, H).double(),
        "scale": torch.randn(P, H).double(),
    }
    x, h = torch.randn(P, B, H).double(), torch.randn(P, B, H).double()
    step = trace(vmap(advance), parameters, x, h if state is None else state)
    return step, [parameters[name] for name in step.names], x, h


def test_the_two_graphs_are_the_step_and_its_gradient():
    step, parameters, x, h = traced(advance)
    inputs = [t.clone().requires_grad_() for t in (*parameters, x, h)]
    U, scale, x_, h_ = inputs
    expected = torch.tanh(x_ + h_ @ U.mT) * scale[:, None] + 1
    y, after, *residuals = step.forward(*parameters, x, h)
    torch.testing.assert_close((y, after), (expected, expected))
    g_y, g_h = torch.randn_like(y), torch.randn_like(y)
    assert not step.keeps_x  # the gradient of a sum reads none of its terms
    found = step.backward(*parameters, h, *residuals, g_y, g_h)
    torch.testing.assert_close(list(found), list(torch.autograd.grad(expected, inputs, g_y + g_h)))


def test_parameters_that_a_step_does_not_use_are_left_out():
    step, *_ = traced(advance)
    assert step.names == ["U", "scale"]


def test_what_is_kept_for_the_way_back_is_counted_and_not_more_than_needed():
    step, parameters, x, h = traced(advance)
    residuals = step.forward(*parameters, x, h)[2:]
    assert [tuple(r.shape) for r in residuals] == [(P, B, H)]  # the tanh: sums and products are made again
    torch.testing.assert_close(residuals[0], torch.tanh(x + h @ parameters[0].mT))
    assert step.floats == sum(t.numel() for t in (*residuals, h))


def test_the_input_is_kept_where_the_way_back_reads_it():
    def scaling(parameters, x, h):
        h = torch.tanh(h @ parameters["U"].T) * x
        return h, h

    step, parameters, x, h = traced(scaling)
    assert step.keeps_x
    residuals, ones = step.forward(*parameters, x, h)[2:], torch.ones_like(h)
    found = step.backward(*parameters, x, h, *residuals, ones, torch.zeros_like(h))
    torch.testing.assert_close(found[1], torch.tanh(h @ parameters[0].mT))


def test_the_forward_graph_computes_nothing_of_the_gradient():
    step, *_ = traced(advance)
    assert isinstance(step.forward, fx.GraphModule)
    made = {node.name for node in step.forward.graph.nodes if node.op == "call_function"}
    assert made
    assert not any("backward" in name for name in made)


def test_what_is_whole_has_no_gradient():
    def counting(parameters, x, state):
        h, t = state
        h = torch.tanh(x + h @ parameters["U"].T) / (1 + t[:, None])
        return h, (h, t + 1)

    h, t = torch.zeros(P, B, H).double(), torch.zeros(P, B, dtype=torch.int64)
    step, parameters, x, h = traced(counting, (h, t))
    assert step.differentiable == [True, False]
    y, after, count, *residuals = step.forward(*parameters, x, h, t)
    assert count.tolist() == [[1] * B] * P
    found = step.backward(*parameters, h, t, *residuals, y, after)
    assert [g.shape for g in found] == [parameters[0].shape, x.shape, h.shape]


def test_a_state_that_changes_its_structure_is_refused():
    with pytest.raises(TypeError, match=r"the state changes its structure in a step, from .* to "):
        traced(lambda parameters, x, h: (h, [h, h]))


CAUSES = {
    "item": r"\.item\(\)",
    "branch": "data-dependent control flow",
    "growing": "the state changes its structure in a step",
    "in_place_into_new": "inplace",
    "python_state": "must only return Tensors, got type <class 'int'>",
}


@pytest.mark.parametrize("name", plugin_cells.UNFITTING)
def test_what_cannot_be_traced_says_why_in_one_line(members, name):
    with pytest.raises(Untraceable, match=CAUSES[name]) as caught:
        members(name).losses_and_gradient(Traced(1 << 30))
    assert len(str(caught.value).splitlines()) == 1
