"""min-gru, min-lstm and lru: long sequences, by hand, and what they start as."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from harness.errors import UserError
from harness.registry import find_cell

close = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("id", ["min-gru", "min-lstm", "lru"])
def test_a_long_sequence_in_float32(id, zero_state, unroll):
    cell = find_cell(id).build(5, 8)
    x = 3 * torch.randn(2000, 2, 5)
    start = tree_map(lambda leaf: leaf.float(), zero_state(cell, 2))
    with torch.no_grad():
        torch.testing.assert_close(cell.unroll(x, start)[0], unroll(cell, x, start)[0], rtol=1e-3, atol=1e-3)


def g(a):
    return torch.where(a >= 0, a + 0.5, torch.sigmoid(a))


def test_min_gru_by_hand(build, unroll):
    cell = build("min-gru", 3, 4)
    x, h = torch.randn(9, 2, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    ours, _ = unroll(cell, x, h)
    (W_z, W_n), (b_z, b_n) = cell.W.chunk(2), cell.b.chunk(2)
    for x_t, y in zip(x, ours, strict=True):
        z = torch.sigmoid(x_t @ W_z.T + b_z)
        h = (1 - z) * h + z * g(x_t @ W_n.T + b_n)
        torch.testing.assert_close(y, h, **close)


def test_min_lstm_by_hand(build, unroll):
    cell = build("min-lstm", 3, 4)
    x, h = torch.randn(9, 2, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    ours, _ = unroll(cell, x, h)
    (W_f, W_i, W_n), (b_f, b_i, b_n) = cell.W.chunk(3), cell.b.chunk(3)
    for x_t, y in zip(x, ours, strict=True):
        f, i = torch.sigmoid(x_t @ W_f.T + b_f), torch.sigmoid(x_t @ W_i.T + b_i)
        h = f / (f + i) * h + i / (f + i) * g(x_t @ W_n.T + b_n)
        torch.testing.assert_close(y, h, **close)


def test_min_gru_is_what_the_paper_computes_in_log_space(build):
    """Feng et al. 2024, appendix B: cumulative sums of logarithms, from a positive state."""
    cell = build("min-gru", 3, 4)
    x, h = torch.randn(9, 2, 3, dtype=torch.float64), torch.rand(2, 4, dtype=torch.float64)
    z, n = (x @ cell.W.T + cell.b).chunk(2, dim=-1)
    log_kept = torch.cumsum(-F.softplus(z), dim=0)
    log_added = torch.cat([h.log()[None], -F.softplus(-z) + g(n).log()])
    log_kept = torch.cat([torch.zeros_like(log_kept[:1]), log_kept])
    expected = (log_kept + torch.logcumsumexp(log_added - log_kept, dim=0)).exp()[1:]
    torch.testing.assert_close(cell.unroll(x, h)[0], expected, **close)


def test_gates_that_underflow_leave_numbers():
    cell = find_cell("min-lstm").build(2, 3)
    x = torch.full((5, 1, 2), 1e4)
    y, _ = cell.unroll(x, torch.zeros(1, 3))
    assert torch.isfinite(y).all()
    with torch.no_grad():
        cell.W[:6] = -1.0
    assert torch.isfinite(cell.unroll(x, torch.zeros(1, 3))[0]).all()


def test_lru_in_complex_numbers(build, unroll, same_gradients):
    """Orvieto et al. 2023, section 3, as it is written there."""
    cell = build("lru", 3, 4)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    start = torch.randn(2, 4, dtype=torch.complex128)
    ours, _ = unroll(cell, x, (start.real, start.imag))
    copies = {name: p.detach().clone().requires_grad_() for name, p in cell.named_parameters()}
    p = copies.__getitem__
    eigenvalues = torch.exp(torch.complex(-torch.exp(p("nu")), torch.exp(p("theta"))))
    B, C = torch.complex(p("B_re"), p("B_im")), torch.complex(p("C_re"), p("C_im"))
    s, outputs = start, []
    for x_t in x:
        s = eigenvalues * s + torch.exp(p("gamma")) * (x_t.to(B.dtype) @ B.T)
        u = F.gelu((s @ C.T).real + x_t @ p("D").T)
        outputs.append(F.glu(u @ p("W").T + p("b")))
    expected = torch.stack(outputs)
    torch.testing.assert_close(ours, expected, **close)
    same_gradients(ours, expected, {name: (own, copies[name]) for name, own in cell.named_parameters()})


def test_lru_starts_on_its_ring_and_keeps_its_size():
    cell = find_cell("lru[max_phase=1.5,r_min=0.4,r_max=0.8]").build(2, 400)
    re, im = (part.detach() for part in cell._eigenvalues())
    size = torch.hypot(re, im)
    assert 0.4 <= size.min() < 0.42
    assert 0.78 < size.max() <= 0.8
    inside = (size**2 < (0.4**2 + 0.8**2) / 2).float().mean()  # uniform by area
    assert inside.item() == pytest.approx(0.5, abs=0.1)
    angle = torch.atan2(im, re)
    assert 0 < angle.min() < 0.05
    assert 1.45 < angle.max() <= 1.5
    state = cell.initial_state(200, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        for pre in cell.project(torch.randn(15, 200, 2)).unbind():
            _, state = cell.recur(pre, state)
    assert torch.hypot(*state).square().mean().item() == pytest.approx(1, rel=0.1)


def test_a_ring_that_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"r_min=0\.5, r_max=0\.5: give 0 ≤ r_min < r_max ≤ 1"):
        find_cell("lru[r_min=0.5,r_max=0.5]").build(4, 4)
