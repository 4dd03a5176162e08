"""The depth-gated LSTM against its equations by hand, and against the networks that it contains."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell
from harness.errors import UserError
from harness.registry import find_cell

NEVER, ALWAYS = -1e4, 1e4
"""Biases at which a sigmoid is exactly 0 and exactly 1 in float64."""
close = {"rtol": 1e-11, "atol": 1e-13}


def layers_of(cell: Cell) -> list[nn.Module]:
    return [cell.first, *cell.upper]


def random_state(layers: int, batch: int, hidden: int, *, requires_grad: bool = False) -> tuple:
    draw = lambda: torch.randn(batch, hidden, dtype=torch.float64, requires_grad=requires_grad)  # noqa: E731
    return tuple((draw(), draw()) for _ in range(layers))


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("layers", [2, 3])
def test_by_hand(layers, build):
    """Yao et al. 2015 written out gate by gate in NumPy for one row."""
    D, H = 3, 4
    cell = build(f"depth-gated[layers={layers}]", D, H)
    xs = torch.randn(5, 1, D, dtype=torch.float64)
    state = random_state(layers, 1, H)
    expected = [(h[0].numpy().copy(), c[0].numpy().copy()) for h, c in state]
    for x in xs.unbind():
        y, state = cell.step(x, state)
        x_L, c_below = x[0].numpy(), None
        for L, layer in enumerate(layers_of(cell)):
            p = {name: value.detach().numpy() for name, value in layer.named_parameters()}
            W_xi, W_xf, W_xc, W_xo = (p["W_x"][k * H : (k + 1) * H] for k in range(4))
            W_hi, W_hf, W_hc, W_ho = (p["W_h"][k * H : (k + 1) * H] for k in range(4))
            b_i, b_f, b_c, b_o = (p["b"][k * H : (k + 1) * H] for k in range(4))
            h, c = expected[L]
            i = sigmoid(W_xi @ x_L + W_hi @ h + p["w_ci"] * c + b_i)
            f = sigmoid(W_xf @ x_L + W_hf @ h + p["w_cf"] * c + b_f)
            new = f * c + i * np.tanh(W_xc @ x_L + W_hc @ h + b_c)
            if c_below is not None:
                W_xd, b_d = p["W_x"][4 * H :], p["b"][4 * H :]
                assert W_xd.shape == (H, H)
                d = sigmoid(W_xd @ x_L + p["w_cd"] * c + p["w_ld"] * c_below + b_d)
                new = new + d * c_below
            o = sigmoid(W_xo @ x_L + W_ho @ h + p["w_co"] * new + b_o)
            expected[L] = (o * np.tanh(new), new)
            x_L, c_below = expected[L]
        np.testing.assert_allclose(y[0].detach().numpy(), expected[-1][0], rtol=1e-11)
        for (h, c), (h_hand, c_hand) in zip(state, expected, strict=True):
            np.testing.assert_allclose(h[0].detach().numpy(), h_hand, rtol=1e-11)
            np.testing.assert_allclose(c[0].detach().numpy(), c_hand, rtol=1e-11)


def peephole_lstm(cell: Cell, x: Tensor, state: tuple) -> tuple[Tensor, tuple]:
    """A stacked LSTM with peepholes (Gers 2000), a gate at a time, on the cell's weights; no depth gates."""
    H = cell.hidden_size
    outputs = []
    for y in x.unbind():
        after = []
        for layer, (h, c) in zip(layers_of(cell), state, strict=True):
            rows = {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate("ifgo")}
            a = {gate: y @ layer.W_x[r].T + h @ layer.W_h[r].T + layer.b[r] for gate, r in rows.items()}
            i, f = torch.sigmoid(a["i"] + layer.w_ci * c), torch.sigmoid(a["f"] + layer.w_cf * c)
            c = f * c + i * torch.tanh(a["g"])
            y = torch.sigmoid(a["o"] + layer.w_co * c) * torch.tanh(c)
            after.append((y, c))
        outputs.append(y)
        state = tuple(after)
    return torch.stack(outputs), state


def close_depth_gates(cell: Cell, bias: float = NEVER) -> None:
    with torch.no_grad():
        for layer in cell.upper:
            layer.b[4 * cell.hidden_size :] = bias


@pytest.mark.parametrize("layers", [2, 3])
def test_without_depth_gates_it_is_a_stacked_peephole_lstm(layers, build, unroll, same_gradients):
    T, B, D, H = 30, 3, 4, 6
    cell = build(f"depth-gated[layers={layers}]", D, H)
    close_depth_gates(cell)
    x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    state = random_state(layers, B, H, requires_grad=True)
    ours, theirs = unroll(cell, x, state), peephole_lstm(cell, x, state)
    torch.testing.assert_close(ours, theirs, **close)
    leaves = {"x": x} | {
        f"state {L} {n}": leaf for L, pair in enumerate(state) for n, leaf in enumerate(pair)
    }
    leaves |= {n: p for n, p in cell.named_parameters() if not n.endswith(("w_cd", "w_ld"))}
    same_gradients(ours, theirs, {name: (leaf, leaf) for name, leaf in leaves.items()})


def test_without_depth_gates_and_peepholes_it_is_torchs_lstm(build, zero_state, unroll):
    D, H = 4, 6
    cell = build("depth-gated[layers=3]", D, H)
    close_depth_gates(cell)
    module = nn.LSTM(D, H, num_layers=3).double()
    with torch.no_grad():
        for i, layer in enumerate(layers_of(cell)):
            for peephole in (layer.w_ci, layer.w_cf, layer.w_co):
                peephole.zero_()
            getattr(module, f"weight_ih_l{i}").copy_(layer.W_x[: 4 * H])
            getattr(module, f"weight_hh_l{i}").copy_(layer.W_h)
            getattr(module, f"bias_ih_l{i}").copy_(layer.b[: 4 * H])
            getattr(module, f"bias_hh_l{i}").zero_()
    x = torch.randn(50, 3, D, dtype=torch.float64)
    torch.testing.assert_close(unroll(cell, x, zero_state(cell, 3))[0], module(x)[0], **close)


def test_the_gate_passes_the_new_memory_of_the_layer_below(build):
    """d = 1 and f = i = 0 leave c¹_t = c⁰_t, the memory of this very step, not that of the last."""
    H = 4
    cell = build("depth-gated", 3, H)
    close_depth_gates(cell, ALWAYS)
    with torch.no_grad():
        cell.upper[0].b[: 2 * H] = NEVER
    before = random_state(2, 2, H)
    _, ((_, c0), (_, c1)) = cell.step(torch.randn(2, 3, dtype=torch.float64), before)
    assert torch.equal(c1, c0)
    assert not torch.equal(c0, before[0][1])


def test_the_gate_sees_the_new_memory_of_the_layer_below(build):
    """With the gate hearing w_ld ⊙ c⁰_t alone, d can be read off the result and compared."""
    H = 4
    cell = build("depth-gated", 3, H)
    upper = cell.upper[0]
    with torch.no_grad():
        upper.b[: 2 * H] = NEVER
        upper.b[4 * H :] = 0
        upper.W_x[4 * H :] = 0
        upper.w_cd.zero_()
    _, ((_, c0), (_, c1)) = cell.step(torch.randn(2, 3, dtype=torch.float64), random_state(2, 2, H))
    torch.testing.assert_close(c1 / c0, torch.sigmoid(upper.w_ld * c0), **close)


def test_gradients(build, unroll):
    cell = build("depth-gated[layers=3]", 2, 3)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    flat = [leaf for pair in random_state(3, 2, 3, requires_grad=True) for leaf in pair]

    def outputs(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        y, state = unroll(cell, x, tuple(zip(rest[0:6:2], rest[1:6:2], strict=True)))
        return (y, *(leaf for pair in state for leaf in pair))

    assert torch.autograd.gradcheck(outputs, (x, *flat, *cell.parameters()))


@pytest.mark.parametrize("layers", [1, 0, -2])
def test_fewer_than_two_layers_are_refused_in_one_line(layers):
    spec = find_cell(f"depth-gated[layers={layers}]")
    with pytest.raises(
        ValueError, match=rf"^layers={layers}: a depth gate joins two layers, give at least 2$"
    ):
        spec.cls(3, 4, layers=layers)
    with pytest.raises(
        UserError, match=rf"^cell depth-gated\[layers={layers}\]: layers={layers}: a depth gate"
    ):
        spec.build(3, 4)
