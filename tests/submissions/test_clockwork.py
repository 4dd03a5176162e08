"""The Clockwork RNN: its clock, its masked blocks, and the networks that it contains."""

import numpy as np
import pytest
import torch
from torch import nn

from harness.cell import Cell, State
from harness.errors import UserError
from harness.model import solve_width
from harness.registry import find_cell

D, G, K = 3, 4, 3
H = G * K
ID = f"clockwork[modules={G}]"


def module(i: int) -> slice:
    """The units of module i, of period 2^i."""
    return slice(i * K, (i + 1) * K)


def start(cell: Cell, y: torch.Tensor) -> State:
    return y, torch.zeros(len(y), dtype=torch.int64)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_by_hand(build, unroll):
    """Koutník et al. 2014, module by module in NumPy, each hearing itself and the slower ones."""
    cell = build(ID, D, H)
    W_I, W_H, b = (p.detach().numpy() for p in (cell.W_I, cell.W_H, cell.b))
    x, y0 = draw(20, 1, D), draw(1, H)
    ours, _ = unroll(cell, x, start(cell, y0))
    y = y0[0].numpy().copy()
    for t in range(20):
        after = y.copy()
        for i in range(G):
            if t % 2**i == 0:
                a = W_I[module(i)] @ x[t, 0].numpy() + b[module(i)]
                for j in range(i, G):
                    a = a + W_H[module(i), module(j)] @ y[module(j)]
                after[module(i)] = np.tanh(a)
        y = after
        np.testing.assert_allclose(ours[t, 0].detach().numpy(), y, rtol=1e-12)


def test_the_mask_is_made_of_whole_blocks():
    mask = find_cell(ID).build(D, H).parameter_masks()["W_H"]
    assert mask.shape == (H, H)
    for i in range(G):
        for j in range(G):
            block = mask[module(i), module(j)]
            assert block.all() if j >= i else not block.any(), (i, j)


def test_masked_weights_get_no_gradient_and_never_move(build, zero_state, unroll):
    cell = build(ID, D, H)
    masked = ~cell.parameter_masks()["W_H"]
    before = cell.W_H.detach().clone()
    optimizer = torch.optim.Adam(cell.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        outputs, _ = unroll(cell, draw(20, 4, D), zero_state(cell, 4))
        (outputs * draw(*outputs.shape)).sum().backward()
        assert (cell.W_H.grad[masked] == 0).all()
        assert (cell.W_H.grad[~masked] != 0).all()
        optimizer.step()
    assert torch.equal(cell.W_H[masked], before[masked])
    assert (cell.W_H[~masked] != before[~masked]).all()


def test_masked_weights_are_without_effect_at_every_use(build, zero_state, unroll):
    cell = build(ID, D, H)
    x = draw(20, 2, D)
    expected, _ = unroll(cell, x, zero_state(cell, 2))
    with torch.no_grad():
        cell.W_H[~cell.parameter_masks()["W_H"]] += 100.0
    assert torch.equal(unroll(cell, x, zero_state(cell, 2))[0], expected)


def test_a_module_stands_still_to_the_bit_between_its_ticks(build, zero_state, unroll):
    cell = build(ID, D, H)
    outputs, _ = unroll(cell, draw(33, 2, D), zero_state(cell, 2))
    for t in range(1, 33):
        for i in range(G):
            now, last = outputs[t][:, module(i)], outputs[t - 1][:, module(i)]
            if t % 2**i:
                assert torch.equal(now, last), (t, i)
            else:
                assert (now != last).all(), (t, i)


def test_every_module_ticks_at_the_first_step(build):
    cell = build(ID, D, H)
    x, y = draw(2, D), draw(2, H)
    weight = cell.W_H * cell.parameter_masks()["W_H"]
    after, (_, t) = cell.step(x, start(cell, y))
    torch.testing.assert_close(after, torch.tanh(x @ cell.W_I.T + cell.b + y @ weight.T))
    assert t.tolist() == [1, 1]
    assert not t.is_floating_point()


@pytest.mark.parametrize("i", range(G))
def test_a_fast_module_never_changes_a_slower_one(i, build, unroll):
    cell = build(ID, D, H)
    x, y = draw(33, 2, D), draw(2, H)
    other = y.clone()
    other[:, module(i)] += 1.0
    outputs, _ = unroll(cell, x, start(cell, y))
    changed, _ = unroll(cell, x, start(cell, other))
    assert torch.equal(changed[..., (i + 1) * K :], outputs[..., (i + 1) * K :])
    for j in range(i + 1):  # itself and all faster ones hear of it at once
        assert (changed[0][:, module(j)] != outputs[0][:, module(j)]).all(), j


def copied(cell: Cell) -> nn.RNN:
    oracle = nn.RNN(D, H).double()
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(cell.W_I)
        oracle.weight_hh_l0.copy_(cell.W_H)
        oracle.bias_ih_l0.copy_(cell.b)
        oracle.bias_hh_l0.zero_()
    return oracle


@pytest.mark.parametrize("modules", [1, G])
def test_with_all_periods_one_and_a_full_mask_it_is_torchs_rnn(modules, build, unroll, same_gradients):
    cell = build(f"clockwork[modules={modules}]", D, H)
    if modules > 1:  # one module is that already
        cell.periods.fill_(1)
        cell.mask.fill_(True)
    oracle = copied(cell)
    x, y = draw(50, 4, D).requires_grad_(), draw(4, H).requires_grad_()
    ours, (last, _) = unroll(cell, x, start(cell, y))
    theirs, theirs_last = oracle(x, y[None])
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    same_gradients(
        (ours, last),
        (theirs, theirs_last[0]),
        {
            "x": (x, x),
            "y": (y, y),
            "W_I": (cell.W_I, oracle.weight_ih_l0),
            "W_H": (cell.W_H, oracle.weight_hh_l0),
            "b": (cell.b, oracle.bias_ih_l0),
        },
    )


def test_admitted_widths_are_the_multiples_of_the_modules():
    assert list(find_cell("clockwork").widths(1, 33)) == [8, 16, 24, 32]
    assert list(find_cell("clockwork[modules=5]").widths(10, 14)) == [10]
    assert list(find_cell("clockwork[modules=5]").widths(11, 14)) == []
    assert solve_width(find_cell("clockwork[modules=7]"), 8_000) % 7 == 0


@pytest.mark.parametrize("modules", [0, -1, 64])
def test_a_number_of_modules_that_cannot_be_is_refused_in_one_line(modules):
    with pytest.raises(UserError, match=rf"modules={modules}: give 1 to 63"):
        solve_width(find_cell(f"clockwork[modules={modules}]"), 8_000)


def test_a_width_that_is_no_multiple_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^cell clockwork: hidden size 20 is no multiple of modules=8$"):
        find_cell("clockwork").build(D, 20)


def test_the_slowest_period_there_can_be(build, zero_state, unroll):
    cell = build("clockwork[modules=63]", D, 63)
    outputs, _ = unroll(cell, draw(3, 1, D), zero_state(cell, 1))
    assert torch.equal(outputs[2][:, 2:], outputs[0][:, 2:])
