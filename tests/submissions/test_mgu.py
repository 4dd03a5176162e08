"""mgu: the GRU whose gates are one."""

import torch


def test_is_a_gru_with_reset_before_whose_gates_are_one(build, zero_state, unroll, same_gradients):
    """r = f and z = 1 − f, since 1 − σ(a) = σ(−a)."""
    ours, theirs = build("mgu"), build("gru[reset=before]")
    with torch.no_grad():
        for name in ("W", "U", "b"):
            f, g = getattr(ours, name).chunk(2)
            getattr(theirs, name).copy_(torch.cat([f, -f, g]))

    def folded(gradient: torch.Tensor) -> torch.Tensor:
        r, z, n = gradient.chunk(3)
        return torch.cat([r - z, n])

    x = torch.randn(30, 3, 5, dtype=torch.float64)
    found, expected = unroll(ours, x, zero_state(ours, 3)), unroll(theirs, x, zero_state(theirs, 3))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
    same_gradients(
        found, expected, {n: (getattr(ours, n), getattr(theirs, n), folded) for n in ("W", "U", "b")}
    )
