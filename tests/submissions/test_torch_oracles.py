"""rnn, lstm and gru against torch's own modules with copied weights, in float64: outputs and gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell, Stack

T, B, D, H = 50, 4, 5, 7
MODULES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
ID = {1: "{}", 2: "{}[layers=2]"}


def copy_weights(cell: Cell, module: nn.RNNBase) -> dict[str, tuple]:
    """Give the cell the module's weights. Returns what is to have the same gradient: ours, theirs."""
    pairs: dict[str, tuple] = {}
    layers = cell.layers if isinstance(cell, Stack) else [cell]
    for i, layer in enumerate(layers):
        theirs = {
            kind: getattr(module, f"{kind}_l{i}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        bias = theirs["bias_ih"] + theirs["bias_hh"]
        if hasattr(layer, "b_hn"):
            bias[2 * H :] = theirs["bias_ih"][2 * H :]
            layer.b_hn.copy_(theirs["bias_hh"][2 * H :])
            pairs[f"b_hn {i}"] = (layer.b_hn, theirs["bias_hh"], lambda gradient: gradient[2 * H :])
        layer.W.copy_(theirs["weight_ih"])
        layer.U.copy_(theirs["weight_hh"])
        layer.b.copy_(bias)
        pairs |= {
            f"W {i}": (layer.W, theirs["weight_ih"]),
            f"U {i}": (layer.U, theirs["weight_hh"]),
            f"b {i}": (layer.b, theirs["bias_ih"]),
        }
    return pairs


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("layers", [1, 2])
def test_equals_torch(name, layers, build, unroll, same_gradients):
    cell = build(ID[layers].format(name), D, H)
    module = MODULES[name](D, H, num_layers=layers).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
        pairs = copy_weights(cell, module)
    x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    starts = [
        torch.randn(layers, B, H, dtype=torch.float64, requires_grad=True)
        for _ in range(2 if name == "lstm" else 1)
    ]
    theirs, theirs_last = module(x, tuple(starts) if name == "lstm" else starts[0])

    here = [start.detach().clone().requires_grad_() for start in starts]
    states = [tuple(s) if name == "lstm" else s[0] for s in zip(*(h.unbind() for h in here), strict=True)]
    x_here = x.detach().clone().requires_grad_()
    ours, last = unroll(cell, x_here, tuple(states) if layers == 2 else states[0])

    def gathered(last: object) -> tuple[Tensor, ...]:
        per_layer = last if layers == 2 else (last,)
        if name == "lstm":
            return tuple(torch.stack(part) for part in zip(*per_layer, strict=True))
        return (torch.stack(tuple(per_layer)),)

    theirs_last = theirs_last if name == "lstm" else (theirs_last,)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(gathered(last), theirs_last, rtol=1e-11, atol=1e-13)
    pairs["x"] = (x_here, x)
    pairs |= {f"state {i}": pair for i, pair in enumerate(zip(here, starts, strict=True))}
    same_gradients((ours, gathered(last)), (theirs, theirs_last), pairs)


def test_reset_before_by_hand(build, zero_state, unroll):
    """Cho et al. 2014, equations 5–8, unit by unit in NumPy."""
    cell = build("gru[reset=before]", 3, 4)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    ours, _ = unroll(cell, x, zero_state(cell, 2))
    W, U, b = (p.detach().numpy() for p in (cell.W, cell.U, cell.b))
    W_r, W_z, W_n = W[:4], W[4:8], W[8:]
    U_r, U_z, U_n = U[:4], U[4:8], U[8:]
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    for row in range(2):
        h = np.zeros(4)
        for t in range(6):
            x_t = x[t, row].numpy()
            r = sigmoid(W_r @ x_t + U_r @ h + b[:4])
            z = sigmoid(W_z @ x_t + U_z @ h + b[4:8])
            n = np.tanh(W_n @ x_t + U_n @ (r * h) + b[8:])
            h = z * h + (1 - z) * n
            np.testing.assert_allclose(ours[t, row].detach().numpy(), h, rtol=1e-12)


def test_reset_before_has_right_gradients(build, zero_state, unroll):
    cell = build("gru[reset=before]", 2, 3)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    h = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def outputs(x: Tensor, h: Tensor, *_: Tensor) -> Tensor:
        return unroll(cell, x, h)[0]

    assert torch.autograd.gradcheck(outputs, (x, h, *cell.parameters()))


def test_the_two_resets_differ(build, zero_state, unroll):
    after, before = build("gru"), build("gru[reset=before]")
    with torch.no_grad():
        after.b_hn.zero_()
        for name in ("W", "U", "b"):
            getattr(before, name).copy_(getattr(after, name))
    x = torch.randn(5, 2, 5, dtype=torch.float64)
    ours, _ = unroll(after, x, zero_state(after, 2))
    other, _ = unroll(before, x, zero_state(before, 2))
    assert torch.equal(ours[0], other[0])  # from the zero state there is nothing to reset
    assert (ours[1:] - other[1:]).abs().max() > 1e-3
