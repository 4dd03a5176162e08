"""reservoir: nothing of it trains; against torch's own RNN; it forgets."""

import pytest
import torch
from torch import nn

from harness.errors import UserError
from harness.model import build as build_model
from harness.registry import find_cell, find_task


def test_equals_torchs_rnn_with_its_weights(build, zero_state, unroll):
    cell = build("reservoir", 5, 7)
    module = nn.RNN(5, 7, bias=False).double()
    with torch.no_grad():
        module.weight_ih_l0.copy_(cell.W_in)
        module.weight_hh_l0.copy_(cell.W)
    x = torch.randn(50, 4, 5, dtype=torch.float64, requires_grad=True)
    ours, last = unroll(cell, x, zero_state(cell, 4))
    theirs, theirs_last = module(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(last, theirs_last[0], rtol=1e-11, atol=1e-13)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


def test_what_trains_is_the_harness():
    model = build_model(find_cell("reservoir"), find_task("gap-copy"), 8, 0)
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert names == {"encoder.weight", "readout.weight", "readout.bias"}


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.25])
def test_the_radius_is_as_asked_at_any_width(radius):
    for width in (1, 2, 16, 74):
        cell = find_cell(f"reservoir[spectral_radius={radius}]").build(32, width)
        assert torch.linalg.eigvals(cell.W).abs().max().item() == pytest.approx(radius, rel=1e-5)
        assert cell.W_in.abs().max() <= 32**-0.5


def test_it_forgets_where_it_started(unroll):
    """The echo state property: two states under the same inputs come together."""
    cell = find_cell("reservoir[spectral_radius=0.5]").build(5, 30)
    x = torch.randn(60, 2, 5)
    _, one = unroll(cell, x, torch.ones(2, 30))
    _, other = unroll(cell, x, -torch.ones(2, 30))
    assert (one - other).abs().max() < 1e-5


@pytest.mark.parametrize("radius", ["0", "-1.0", "nan"])
def test_a_radius_that_cannot_be_is_refused(radius):
    with pytest.raises(UserError, match=r"spectral_radius=.*: must be above 0"):
        find_cell(f"reservoir[spectral_radius={radius}]").build(5, 8)
