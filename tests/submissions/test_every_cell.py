"""What holds of every published cell."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_leaves, tree_map

from harness.cell import Cell, State, count_parameters, has_projection, overrides
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
UNPROJECTED = ["last-k", "transformer[window=16]"]
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
close = {"rtol": 1e-10, "atol": 1e-12}


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
def test_shapes(id, build, zero_state):
    cell = build(id, 5, 8)
    assert (cell.input_size, cell.hidden_size) == (5, 8)
    state = zero_state(cell, 3)
    y, after = cell.step(torch.randn(3, 5, dtype=torch.float64), state)
    assert y.shape == (3, 8)
    assert y.dtype == torch.float64
    describe = lambda s: tree_map(lambda leaf: (leaf.shape, leaf.dtype), s)  # noqa: E731
    assert describe(after) == describe(state)
    assert all(leaf.shape[0] == 3 for leaf in tree_leaves(state))


@pytest.mark.parametrize("id", [id for id in IDS if "layers=2" not in id and id not in UNPROJECTED])
def test_the_projection_done_once_for_all_steps_changes_nothing(id, build, zero_state, unroll):
    cell = build(id)
    assert has_projection(cell)
    assert not overrides(cell, "step")
    x = torch.randn(20, 3, 5, dtype=torch.float64)
    expected, last = unroll(cell, x, zero_state(cell, 3))
    state = zero_state(cell, 3)
    for pre, y in zip(cell.project(x).unbind(), expected, strict=True):
        here, state = cell.recur(pre, state)
        torch.testing.assert_close(here, y, **close)
    torch.testing.assert_close(state, last, **close)


@pytest.mark.parametrize("id", IDS)
def test_a_population_on_stacked_parameters_equals_each_alone(id, build, zero_state):
    members = [Run(build(id)) for _ in range(3)]
    parameters, buffers = stack_module_state(members)
    x = torch.randn(17, 4, 5, dtype=torch.float64)
    state = zero_state(members[0].cell, 4)

    def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> tuple[Tensor, State]:
        return functional_call(members[0], (parameters, buffers), (x, state))

    together, _ = vmap(run)(parameters, buffers)
    weights = torch.randn_like(together)
    learned = {name: p for name, p in parameters.items() if p.requires_grad}
    if not learned:
        assert not together.requires_grad
    gradients = torch.autograd.grad((together * weights).sum(), list(learned.values())) if learned else ()
    for p, member in enumerate(members):
        alone, _ = member(x, state)
        torch.testing.assert_close(together[p], alone, **close)
        if not learned:
            continue
        own = torch.autograd.grad((alone * weights[p]).sum(), list(member.parameters()))
        for name, a, b in zip(learned, gradients, own, strict=True):
            torch.testing.assert_close(a[p], b, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("id", IDS)
def test_a_step_is_one_graph_for_the_compiler(id, build, zero_state):
    cell = build(id)
    x, state = torch.randn(3, 5, dtype=torch.float64), zero_state(cell, 3)
    torch.compiler.reset()
    compiled = torch.compile(cell.step, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, state), cell.step(x, state), **close)


@pytest.mark.parametrize("id", IDS)
def test_a_step_changes_nothing_but_what_it_returns(id, build, zero_state):
    cell = build(id)
    x, state = torch.randn(3, 5, dtype=torch.float64), zero_state(cell, 3)
    for _ in range(3):
        _, state = cell.step(x, state)
    held = [*cell.parameters(), *cell.buffers(), *tree_leaves(state), x]
    before = [tensor.clone() for tensor in held]
    generator = torch.random.get_rng_state()
    first, second = cell.step(x, state), cell.step(x, state)
    assert all(torch.equal(a, b) for a, b in zip(tree_leaves(first), tree_leaves(second), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(held, before, strict=True))
    assert torch.equal(torch.random.get_rng_state(), generator)


@pytest.mark.parametrize("id", IDS)
def test_rows_do_not_see_each_other(id, build, zero_state, unroll):
    cell = build(id)
    x = torch.randn(12, 4, 5, dtype=torch.float64)
    together, _ = unroll(cell, x, zero_state(cell, 4))
    for row in range(4):
        alone, _ = unroll(cell, x[:, row : row + 1], zero_state(cell, 1))
        torch.testing.assert_close(together[:, row : row + 1], alone, **close)


@pytest.mark.parametrize("id", IDS)
def test_the_state_is_all_that_is_carried(id, build, zero_state, unroll):
    cell = build(id)
    x = torch.randn(21, 2, 5, dtype=torch.float64)
    whole, last = unroll(cell, x, zero_state(cell, 2))
    head, state = unroll(cell, x[:13], zero_state(cell, 2))
    tail, state = unroll(cell, x[13:], state)
    assert torch.equal(torch.cat([head, tail]), whole)
    assert all(torch.equal(a, b) for a, b in zip(tree_leaves(state), tree_leaves(last), strict=True))


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


@pytest.mark.parametrize("id", UNRANKED)
def test_every_entry_of_a_parameter_has_a_gradient(id, zero_state, unroll):
    cell = find_cell(id).build(2, 8).double()
    y, _ = unroll(cell, torch.randn(12, 12, 2, dtype=torch.float64), zero_state(cell, 12))
    gradients = torch.autograd.grad((y * torch.randn_like(y)).sum(), list(cell.parameters()))
    assert all((gradient != 0).all() for gradient in gradients)


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
