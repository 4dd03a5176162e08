"""transformer and last-k: against torch's own functions, and what they see."""

import pytest
import torch
from torch.nn import functional as F

from harness.errors import UserError
from harness.registry import find_cell

close = {"rtol": 1e-10, "atol": 1e-12}


def test_last_k_is_a_convolution(build, zero_state, unroll):
    cell = build("last-k[k=4]", 5, 7)
    x = torch.randn(20, 3, 5, dtype=torch.float64)
    ours, _ = unroll(cell, x, zero_state(cell, 3))
    kernel = cell.W.unflatten(1, (4, 5)).transpose(1, 2)  # (H, D, k)
    theirs = torch.tanh(F.conv1d(F.pad(x.permute(1, 2, 0), (3, 0)), kernel, cell.b))
    torch.testing.assert_close(ours, theirs.permute(2, 0, 1), **close)


@pytest.mark.parametrize(
    ("id", "reach"), [("last-k[k=1]", 1), ("last-k[k=4]", 4), ("transformer[window=4]", 4)]
)
def test_they_see_so_far_and_no_farther(id, reach, build, zero_state, unroll):
    cell = build(id, 5, 8)
    x = torch.randn(12, 1, 5, dtype=torch.float64)
    last = unroll(cell, x, zero_state(cell, 1))[0][-1]
    for age in range(12):
        changed = x.clone()
        changed[-1 - age] += 1
        moved = (unroll(cell, changed, zero_state(cell, 1))[0][-1] - last).abs().max()
        assert (moved > 1e-9) == (age < reach)


def test_the_transformer_equals_torchs_attention(build, zero_state, unroll, same_gradients):
    """The whole sequence at once: positions as turns of complex numbers, a causal window of 6."""
    H, heads, T = 16, 2, 15
    cell = build(f"transformer[heads={heads},window=6]", 5, H)
    x = torch.randn(T, 3, 5, dtype=torch.float64)
    ours, _ = unroll(cell, x, zero_state(cell, 3))

    p = {name: parameter.detach().clone().requires_grad_() for name, parameter in cell.named_parameters()}
    e = F.linear(x.transpose(0, 1), p["embed.weight"], p["embed.bias"])
    normed = F.layer_norm(e, (H,), p["norm.weight"], p["norm.bias"])
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (normed @ p["qkv.weight"].T).chunk(3, -1)
    )
    d = H // heads
    turns = torch.outer(torch.arange(T), 10_000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d))
    turns = torch.polar(torch.ones_like(turns), turns)  # (T, d/2)

    def rotated(part: torch.Tensor) -> torch.Tensor:
        turned = torch.complex(part[..., : d // 2], part[..., d // 2 :]) * turns
        return torch.cat([turned.real, turned.imag], dim=-1)

    age = torch.arange(T)[:, None] - torch.arange(T)
    mask = (age >= 0) & (age < 6)
    a = F.scaled_dot_product_attention(rotated(q), rotated(k), v, attn_mask=mask).transpose(1, 2).flatten(-2)
    e = e + a @ p["merge.weight"].T
    hidden = F.linear(
        F.layer_norm(e, (H,), p["mlp.0.weight"], p["mlp.0.bias"]), p["mlp.1.weight"], p["mlp.1.bias"]
    )
    expected = (e + F.linear(F.gelu(hidden), p["mlp.3.weight"], p["mlp.3.bias"])).transpose(0, 1)
    torch.testing.assert_close(ours, expected, **close)
    same_gradients(ours, expected, {name: (own, p[name]) for name, own in cell.named_parameters()})


def test_only_distances_count_for_the_transformer(build, zero_state, unroll):
    """A window's outputs are the same whenever it begins: after what it has forgotten, or at the start."""
    cell = build("transformer[window=5]", 5, 8)
    x = torch.randn(30, 2, 5, dtype=torch.float64)
    late = unroll(cell, x, zero_state(cell, 2))[0][-1]
    torch.testing.assert_close(late, unroll(cell, x[-5:], zero_state(cell, 2))[0][-1], **close)


def test_rows_may_be_at_different_times(build, zero_state, unroll):
    cell = build("transformer[window=4]", 5, 8)
    x = torch.randn(9, 1, 5, dtype=torch.float64)
    _, early = unroll(cell, x[:1], zero_state(cell, 1))
    _, late = unroll(cell, x[:6], zero_state(cell, 1))
    both = tuple(torch.cat(pair) for pair in zip(early, late, strict=True))
    rest = torch.cat([x[6:], x[6:]], dim=1)
    for run in (lambda x, s: unroll(cell, x, s), cell.unroll):
        together, _ = run(rest, both)
        for row, alone in enumerate((early, late)):
            torch.testing.assert_close(together[:, row : row + 1], run(rest[:, :1], alone)[0], **close)


@pytest.mark.parametrize(
    ("cell", "width", "message"),
    [
        ("last-k[k=0]", 8, "k=0: give at least 1 token"),
        ("transformer[window=0]", 8, "window=0: give at least 1"),
        ("transformer[heads=0]", 8, "heads=0: give at least 1"),
        ("transformer[heads=3]", 8, "hidden size 8 is no multiple of 6"),
    ],
)
def test_what_cannot_be_is_refused(cell, width, message):
    with pytest.raises(UserError, match=message):
        find_cell(cell).build(4, width)
