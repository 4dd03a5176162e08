"""irnn, indrnn and orthogonal-rnn: against torch's own RNN, and by what their matrices are."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harness.errors import UserError
from harness.registry import find_cell

close = {"rtol": 1e-11, "atol": 1e-13}


@pytest.mark.parametrize("id", ["irnn", "indrnn"])
def test_equals_torchs_rectified_rnn(id, build, zero_state, unroll, same_gradients):
    """An IndRNN is one whose recurrent matrix is diagonal."""
    cell, module = build(id, 5, 7), nn.RNN(5, 7, nonlinearity="relu").double()
    recurrent = cell.U if id == "irnn" else cell.u
    with torch.no_grad():
        module.weight_ih_l0.copy_(cell.W)
        module.weight_hh_l0.copy_(recurrent if id == "irnn" else torch.diag(recurrent))
        module.bias_ih_l0.copy_(cell.b)
        module.bias_hh_l0.zero_()
    x = torch.randn(40, 4, 5, dtype=torch.float64)
    ours, last = unroll(cell, x, zero_state(cell, 4))
    theirs, theirs_last = module(x)
    torch.testing.assert_close(ours, theirs, **close)
    torch.testing.assert_close(last, theirs_last[0], **close)
    pairs = {
        "W": (cell.W, module.weight_ih_l0),
        "b": (cell.b, module.bias_ih_l0),
        "recurrent": (recurrent, module.weight_hh_l0, lambda g: g if id == "irnn" else g.diagonal()),
    }
    same_gradients(ours, theirs, pairs)


def test_an_irnn_starts_by_holding_what_it_has():
    cell = find_cell("irnn").build(32, 50)
    assert cell.W.std().item() == pytest.approx(0.001, rel=0.1)
    h = start = torch.rand(3, 50)
    for _ in range(1000):
        _, h = cell.step(torch.zeros(3, 32), h)
    assert torch.equal(h, start)


def test_an_indrnn_neither_forgets_nor_explodes_within_t_max():
    cell = find_cell("indrnn[t_max=100]").build(3, 500)
    with torch.no_grad():
        h = torch.ones(1, 500)
        for _ in range(100):
            _, h = cell.step(torch.zeros(1, 3), h)
    assert 0.499 < h.min() < 0.52
    assert 1.92 < h.max() < 2.001
    assert 0.9 < h.log2().mean() + 1 < 1.1


def test_the_bound_of_an_indrnn_holds_at_every_use_and_leaves_every_weight_its_gradient(build):
    cell = build("indrnn[t_max=2]", 3, 7)
    bound, over = 2**0.5, 0.1
    used = {-0.5: -0.5, 1.0: 1.0, bound: bound, bound + over: bound - over, -bound - over: over - bound,
            3 * bound + over: over - bound, 99.0: None}  # fmt: skip
    with torch.no_grad():
        cell.u.copy_(torch.tensor(list(used), dtype=torch.float64))
        cell.W.zero_()
        cell.b.fill_(5.0)
    h, _ = cell.step(torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 7, dtype=torch.float64))
    h.sum().backward()
    reached = (h[0] - 5).detach()
    torch.testing.assert_close(
        reached[:-1], torch.tensor([*used.values()][:-1], dtype=torch.float64), **close
    )
    assert reached.abs().max() <= bound + 1e-12
    assert cell.u.grad.abs().tolist()[:2] == [1.0, 1.0]
    assert cell.u.grad[3:6].tolist() == [-1.0, -1.0, 1.0]


def test_an_indrnn_beyond_the_bound_comes_back_while_it_trains(build):
    """A loss that wants ever more, and then less."""
    cell = build("indrnn", 3, 20)
    nn.init.ones_(cell.u)
    optimizer = torch.optim.Adam([cell.u], 0.01)
    h = torch.ones(1, 20, dtype=torch.float64)

    def updated(sign):
        for _ in range(150):
            y = cell.recur(torch.zeros(1, 20, dtype=torch.float64), h)[0]
            optimizer.zero_grad()
            (sign * y).sum().backward()
            optimizer.step()
        return cell.recur(torch.zeros(1, 20, dtype=torch.float64), h)[0].detach()

    most = updated(-1.0)
    assert most.max() <= cell.bound
    assert most.min() > 0.98
    assert updated(1.0).max() < 0.5


def recurrent_matrix(cell) -> torch.Tensor:
    """What the cell multiplies its state by, read off its steps: the leaky units undone."""
    start = torch.eye(cell.hidden_size, dtype=cell.V.dtype)
    with torch.no_grad():
        _, h = cell.recur(torch.zeros_like(start), start)
    return torch.where(h >= 0, h, 10 * h).T


@pytest.mark.parametrize("reflections", [1, 3, 8])
def test_the_recurrent_matrix_is_the_product_of_the_reflections(reflections, build):
    H = 8
    cell = build(f"orthogonal-rnn[reflections={reflections}]", 5, H)
    expected = torch.eye(H, dtype=torch.float64)
    for k, row in enumerate(cell.V.detach()):
        v = torch.where(torch.arange(H) >= k, row, 0.0)
        expected = expected @ (torch.eye(H, dtype=torch.float64) - 2 * torch.outer(v, v) / (v @ v))
    U = recurrent_matrix(cell)
    torch.testing.assert_close(U, expected, **close)
    torch.testing.assert_close(U @ U.T, torch.eye(H, dtype=torch.float64), **close)
    assert torch.linalg.det(U).item() == pytest.approx((-1) ** reflections)


def test_an_orthogonal_rnn_by_hand(build, zero_state, unroll):
    cell = build("orthogonal-rnn", 5, 7)
    x = torch.randn(20, 3, 5, dtype=torch.float64)
    ours, _ = unroll(cell, x, zero_state(cell, 3))
    U, h = recurrent_matrix(cell), torch.zeros(3, 7, dtype=torch.float64)
    for x_t, y in zip(x, ours, strict=True):
        h = F.leaky_relu(x_t @ cell.W.T + h @ U.T + cell.b, 0.1)
        torch.testing.assert_close(y, h, **close)


def test_it_stays_orthogonal_while_it_trains():
    cell = find_cell("orthogonal-rnn").build(5, 40)
    optimizer = torch.optim.Adam(cell.parameters(), 0.1)
    before, h = recurrent_matrix(cell), torch.zeros(8, 40)
    for _ in range(20):
        y = h
        for _ in range(5):
            y, _ = cell.step(torch.randn(8, 5), y)
        optimizer.zero_grad()
        y.square().sum().backward()
        optimizer.step()
    U = recurrent_matrix(cell)
    assert (U - before).abs().max() > 0.1
    torch.testing.assert_close(U @ U.T, torch.eye(40), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("orthogonal-rnn[reflections=0]", "reflections=0: give at least 1"),
        ("indrnn[t_max=0]", "t_max=0: give at least 1 step"),
    ],
)
def test_what_cannot_be_is_refused(cell, message):
    with pytest.raises(UserError, match=message):
        find_cell(cell).build(4, 4)
