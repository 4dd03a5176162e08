"""peephole-lstm, coupled-lstm and chrono-lstm: by hand, and against the LSTMs that they contain."""

import numpy as np
import pytest
import torch

from harness.errors import UserError
from harness.registry import find_cell

close = {"rtol": 1e-11, "atol": 1e-13}


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def arrays(*parameters: torch.Tensor) -> list[np.ndarray]:
    return [p.detach().numpy() for p in parameters]


def test_peephole_by_hand(build, zero_state, unroll):
    """Gers & Schmidhuber 2000, gate by gate: the output gate sees the new memory cell, the others the old."""
    H = 4
    cell = build("peephole-lstm", 3, H)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    ours, (_, last) = unroll(cell, x, zero_state(cell, 2))
    W, U, b, p_i, p_f, p_o = arrays(cell.W, cell.U, cell.b, cell.p_i, cell.p_f, cell.p_o)
    for row in range(2):
        h, c = np.zeros(H), np.zeros(H)
        for t in range(6):
            i, f, g, o = ((W @ x[t, row].numpy() + U @ h + b)[k * H : (k + 1) * H] for k in range(4))
            i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c)
            c = f * c + i * np.tanh(g)
            h = sigmoid(o + p_o * c) * np.tanh(c)
            np.testing.assert_allclose(ours[t, row].detach().numpy(), h, rtol=1e-12)
        np.testing.assert_allclose(last[row].detach().numpy(), c, rtol=1e-12)


def test_without_its_peepholes_it_is_an_lstm(build, zero_state, unroll):
    cell, lstm = build("peephole-lstm"), build("lstm")
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.copy_(getattr(lstm, name, torch.zeros(())))
    x = torch.randn(30, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(
        unroll(cell, x, zero_state(cell, 3)), unroll(lstm, x, zero_state(lstm, 3)), **close
    )


@pytest.mark.parametrize("peepholes", [True, False])
def test_coupled_is_the_lstm_whose_forget_gate_negates_its_input_gate(
    peepholes, build, zero_state, unroll, same_gradients
):
    """1 − σ(a) = σ(−a): every row of the forget gate is minus that of the input gate."""
    H = 8
    ours = build(f"coupled-lstm[peepholes={str(peepholes).lower()}]", 5, H)
    theirs = build("peephole-lstm" if peepholes else "lstm", 5, H)
    with torch.no_grad():
        for name in ("W", "U", "b"):
            i, g, o = getattr(ours, name).chunk(3)
            getattr(theirs, name).copy_(torch.cat([i, -i, g, o]))
        if peepholes:
            theirs.p_i.copy_(ours.p_i)
            theirs.p_f.copy_(-ours.p_i)
            theirs.p_o.copy_(ours.p_o)

    def folded(gradient: torch.Tensor) -> torch.Tensor:
        i, f, g, o = gradient.chunk(4)
        return torch.cat([i - f, g, o])

    x = torch.randn(30, 3, 5, dtype=torch.float64)
    found, expected = unroll(ours, x, zero_state(ours, 3)), unroll(theirs, x, zero_state(theirs, 3))
    torch.testing.assert_close(found, expected, **close)
    pairs = {name: (getattr(ours, name), getattr(theirs, name), folded) for name in ("W", "U", "b")}
    same_gradients(found, expected, pairs)


def test_coupled_forgets_at_first_as_the_lstm_does():
    cell = find_cell("coupled-lstm").build(32, 64)
    assert torch.equal(cell.b[:64], -torch.ones(64))
    assert cell.b[64:].abs().max() <= 1 / 8


def test_chrono_is_an_lstm_that_starts_elsewhere(build, zero_state, unroll):
    chrono, lstm = build("chrono-lstm"), build("lstm")
    lstm.load_state_dict(chrono.state_dict())
    x = torch.randn(30, 3, 5, dtype=torch.float64)
    assert torch.equal(unroll(chrono, x, zero_state(chrono, 3))[0], unroll(lstm, x, zero_state(lstm, 3))[0])


def test_chrono_starts_with_memories_of_every_length():
    """exp(b_f) is uniform in [1, t_max − 1] (Tallec & Ollivier 2018), b_i = −b_f; the rest is the LSTM's."""
    H = 4000
    cell = find_cell("chrono-lstm[t_max=100]").build(2, H)
    b_i, b_f, *rest = cell.b.detach().double().chunk(4)
    assert torch.equal(b_i, -b_f)
    times = (b_f.exp() - 1) / 98
    spread = (times.sort().values - (torch.arange(H) + 0.5) / H).abs().max().item()
    assert spread < 1.95 / H**0.5  # Kolmogorov–Smirnov, 0.1 %
    assert all(each.abs().max() <= H**-0.5 for each in (*rest, cell.W, cell.U))


def test_a_longest_memory_that_cannot_be_is_refused():
    with pytest.raises(UserError, match="t_max=1: give at least 2 steps"):
        find_cell("chrono-lstm[t_max=1]").build(4, 4)
