"""What holds of every published cell."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.cell import Cell, State, count_parameters
from harness.checks import CELL_CHECKS, QUICK_CHECKS, Specimen
from harness.model import solve_width, state_floats
from harness.registry import cell_files, find_cell

IDS = [
    "rnn",
    "lstm",
    "gru",
    "gru[reset=before]",
    "depth-gated",
    "depth-gated[layers=3]",
    "clockwork[modules=4]",
    "reservoir",
    "peephole-lstm",
    "coupled-lstm",
    "chrono-lstm",
    "mgu",
    "irnn",
    "indrnn",
    "orthogonal-rnn",
    "min-gru",
    "min-lstm",
    "lru",
    "last-k",
    "transformer[window=16]",
    "rnn[layers=2]",
    "lstm[layers=2]",
    "gru[layers=2]",
    "clockwork[layers=2,modules=4]",
]
REDUNDANT = {
    "orthogonal-rnn": 4,  # the length of each of the four v_k
    "lru": 3 * 4,  # of each unit: γ against B, the size and the angle of B against those of C
}
"""Directions in the parameters that change nothing, at four units."""
UNRANKED = [
    "irnn",
    "indrnn",
    "transformer[window=16]",
]  # units that are off; scales against what follows them


def peephole_lstm(D: int, H: int) -> int:
    return 4 * (H * D + H * H + H) + 3 * H


def transformer(D: int, H: int) -> int:
    return H * D + H + 4 * H * H + 8 * H * H + 5 * H + 4 * H


def clockwork(D: int, H: int, modules: int) -> int:
    return H * D + H + (H // modules) ** 2 * modules * (modules + 1) // 2


COUNTS = {
    "rnn": lambda D, H: H * D + H * H + H,
    "lstm": lambda D, H: 4 * (H * D + H * H + H),
    "gru": lambda D, H: 3 * (H * D + H * H + H) + H,
    "gru[reset=before]": lambda D, H: 3 * (H * D + H * H + H),
    "depth-gated": lambda D, H: peephole_lstm(D, H) + 9 * H * H + 10 * H,
    "depth-gated[layers=3]": lambda D, H: peephole_lstm(D, H) + 2 * (9 * H * H + 10 * H),
    "clockwork": lambda D, H: clockwork(D, H, 8),
    "reservoir": lambda D, H: H * D + H * H,
    "peephole-lstm": peephole_lstm,
    "coupled-lstm": lambda D, H: 3 * (H * D + H * H + H) + 2 * H,
    "coupled-lstm[peepholes=false]": lambda D, H: 3 * (H * D + H * H + H),
    "chrono-lstm": lambda D, H: 4 * (H * D + H * H + H),
    "mgu": lambda D, H: 2 * (H * D + H * H + H),
    "irnn": lambda D, H: H * D + H * H + H,
    "indrnn": lambda D, H: H * D + 2 * H,
    "orthogonal-rnn": lambda D, H: H * D + H + sum(H - k for k in range(min(H, 16))),
    "min-gru": lambda D, H: 2 * (H * D + H),
    "min-lstm": lambda D, H: 3 * (H * D + H),
    "lru": lambda D, H: 3 * H + 3 * H * D + 4 * H * H + 2 * H,
    "last-k": lambda D, H: H * 8 * D + H,
    "transformer": transformer,
    "clockwork[modules=4]": lambda D, H: clockwork(D, H, 4),
    "lstm[layers=2]": lambda D, H: 4 * (H * D + H * H + H) + 4 * (2 * H * H + H),
    "clockwork[layers=2]": lambda D, H: clockwork(D, H, 8) + clockwork(H, H, 8),
}
STATES = {
    "rnn": lambda H: H,
    "lstm": lambda H: 2 * H,
    "gru": lambda H: H,
    "depth-gated": lambda H: 4 * H,
    "depth-gated[layers=3]": lambda H: 6 * H,
    "clockwork": lambda H: H + 1,
    "reservoir": lambda H: H,
    "coupled-lstm": lambda H: 2 * H,
    "orthogonal-rnn": lambda H: H,
    "min-lstm": lambda H: H,
    "lru": lambda H: 2 * H,
    "last-k": lambda H: 7 * 32,
    "transformer": lambda H: 2 * 512 * H + 1,
    "lstm[layers=2]": lambda H: 4 * H,
}


class Run(nn.Module):
    """A cell over a whole sequence, as a module that `functional_call` can call."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for x_t in x.unbind():
            y, state = self.cell.step(x_t, state)
            outputs.append(y)
        return torch.stack(outputs), state


def test_the_published_cells_are_registered():
    assert {id.partition("[")[0] for id in IDS} == set(cell_files())
    assert all(file.summary()[0].endswith(".") for file in cell_files().values())


@pytest.mark.parametrize("id", IDS)
def test_it_passes_every_check_that_trains_nothing(id):
    _passes(id, QUICK_CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS)
def test_it_passes_every_other_check_and_is_one_graph_for_the_compiler(id):
    found = _passes(id, [check for check in CELL_CHECKS if check not in QUICK_CHECKS])
    assert found["compile"].figures == {"compile": True}


def _passes(id, checks):
    """The findings by check; none of them is a failure, and the cell trains as a population."""
    specimen = Specimen(find_cell(id))
    found = {check.name: check(specimen) for check in checks if check.applies(specimen)}
    bad = [finding for finding in found.values() if finding.verdict not in ("passed", "reported")]
    assert not bad, "\n".join(map(str, bad))
    if "vmap" in found:
        assert found["vmap"].figures == {"vmap": True}
        assert "eager" in found["engines"].figures["engines"]
    return found


@pytest.mark.parametrize("id", [id for id in IDS if id not in UNRANKED])
def test_every_counted_parameter_is_used_and_no_two_are_redundant(id, build, zero_state, unroll):
    """The gradients of the outputs by the parameters have full rank: no direction in them does nothing."""
    cell = build(id, 2, 4)
    names = [name for name, _ in cell.named_parameters()]
    x, state = torch.randn(12, 12, 2, dtype=torch.float64), zero_state(cell, 12)

    def outputs(values: tuple[Tensor, ...]) -> Tensor:
        run = Run(cell)
        named = {f"cell.{name}": value for name, value in zip(names, values, strict=True)}
        return functional_call(run, named, (x, state))[0].flatten()

    parameters = tuple(p.detach() for p in cell.parameters())
    jacobians = torch.func.jacrev(outputs)(parameters)
    jacobian = torch.cat([j.flatten(1) for j in jacobians], dim=1)
    singular = torch.linalg.svdvals(jacobian / jacobian.norm(dim=0).clamp(min=1e-3))
    assert int((singular > 1e-9 * singular[0]).sum()) == count_parameters(cell) - REDUNDANT.get(id, 0)


@pytest.mark.parametrize("id", COUNTS)
@pytest.mark.parametrize("sizes", [(32, 16), (3, 24)])
def test_parameters_counted_are_those_of_the_equations(id, sizes):
    cell = find_cell(id).build(*sizes)
    assert count_parameters(cell) == COUNTS[id](*sizes)


@pytest.mark.parametrize("id", STATES)
def test_state_floats_are_those_of_the_equations(id):
    assert state_floats(find_cell(id).build(32, 16)) == STATES[id](16)


@pytest.mark.parametrize("id", COUNTS)
@pytest.mark.parametrize("budget", [3_000, 8_000, 50_000])
def test_the_solved_width_is_the_largest_that_fits(id, budget):
    spec = find_cell(id)
    width = solve_width(spec, budget)
    following = next(iter(spec.widths(width + 1, 2 * width + 64)))
    assert width in spec.widths(1, width)
    assert COUNTS[id](32, width) <= budget < COUNTS[id](32, following)


TORCHS = [
    "rnn", "lstm", "gru", "gru[reset=before]", "depth-gated", "clockwork", "peephole-lstm", "mgu",
]  # fmt: skip


@pytest.mark.parametrize("id", TORCHS)
def test_weights_start_uniform_as_in_torch(id):
    H = 64
    cell = find_cell(id).build(32, H)
    for name, parameter in cell.named_parameters():
        values = parameter.detach()
        if name.endswith("b") and id in ("lstm", "depth-gated", "peephole-lstm"):
            assert torch.equal(values[H : 2 * H], torch.ones(H)), f"{name}: the forget gate starts at 1"
            values = torch.cat([values[:H], values[2 * H :]])
        bound = 1 / math.sqrt(H)
        assert values.abs().max() <= bound
        spread = bound / math.sqrt(3)
        assert values.std().item() == pytest.approx(
            spread, rel=4 * 0.32 / math.sqrt(values.numel()) + 0.01
        ), name
        assert abs(values.mean().item()) < 4 * spread / math.sqrt(values.numel()), name
