from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.cell import Cell
from harness.errors import UserError
from harness.model import EMBEDDING, Model, build, solve_width, state_floats
from harness.registry import CellSpec, find_cell, find_task
from harness.task import Real, Reals

COPY = find_task("gap-copy")
GRU = find_cell("gru")


def weights(model: Model) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(a: Model, b: Model) -> list[bool]:
    return [torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True)]


def test_weights_depend_on_nothing_that_was_drawn_before():
    first = build(GRU, COPY, 8, 0)
    torch.manual_seed(123)
    torch.randn(1000)
    for repetition in (3, 1, 2):
        build(GRU, COPY, 8, repetition)
    build(find_cell("lstm"), COPY, 5, 0)
    assert all(same(first, build(GRU, COPY, 8, 0)))


def test_the_global_generator_stays_where_it_was():
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    build(GRU, COPY, 8, 0)
    solve_width(GRU, 1000)
    assert torch.equal(torch.randn(3), expected)


def test_the_global_generator_stays_where_it_was_when_a_cell_raises():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with pytest.raises(UserError):
        build(find_cell("clockwork"), COPY, 9, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "other",
    [
        lambda: build(GRU, COPY, 8, 1),
        lambda: build(find_cell("gru[reset=before]"), COPY, 8, 0),
        lambda: build(GRU, find_task("gap-copy[payload=4]"), 8, 0),
    ],
    ids=["repetition", "option", "task"],
)
def test_weights_differ_where_the_member_does(other):
    one, two = build(GRU, COPY, 8, 0), other()
    assert not torch.equal(one.encoder.weight, two.encoder.weight)
    assert not torch.equal(one.cell.W, two.cell.W)
    assert not torch.equal(one.readout.weight, two.readout.weight)


def test_golden_weights():
    """Pinned: a stored run is made anew from these. A change here raises NUMERICS in the engine."""
    model = build(GRU, COPY, 8, 0)
    first = [w[0, 0].item() for w in (model.encoder.weight, model.cell.W, model.readout.weight)]
    assert first == pytest.approx([-0.599176, -0.087027, -0.320747], abs=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm[layers=2]", "clockwork"])
def test_answers_are_read_off_the_outputs_at_the_queries(cell):
    """The projection, where there is one, is done for all steps at once: here it is not."""
    model = build(find_cell(cell), COPY, 8, 0)
    batch = COPY.batch("train", 0, 5, 0, 4)
    inputs = torch.from_numpy(batch.inputs)
    answers = model(inputs, batch.queries.tolist())
    assert answers.shape == (3, 4, 8)
    x = model.encoder.weight[inputs]
    state = model.cell.initial_state(4, device=x.device, dtype=x.dtype)
    outputs = []
    for x_t in x:
        y, state = model.cell.step(x_t, state)
        outputs.append(y)
    expected = [outputs[t] @ model.readout.weight.T + model.readout.bias for t in batch.queries]
    torch.testing.assert_close(answers, torch.stack(expected))


def test_reals_are_encoded_by_a_linear_map():
    @dataclass(frozen=True)
    class Sum(type(COPY)):
        inputs = Reals(3)
        output = Real(0.1)

    model = build(GRU, Sum(), 8, 0)
    assert isinstance(model.encoder, nn.Linear)
    assert (model.encoder.in_features, model.encoder.out_features) == (3, EMBEDDING)
    assert model(torch.randn(6, 2, 3), [5]).shape == (1, 2, 1)


def test_encoder_and_readout_are_the_same_for_every_cell():
    sizes = {
        (tuple(m.encoder.weight.shape), tuple(m.readout.weight.shape), m.cell.input_size)
        for m in (build(find_cell(cell), COPY, 8, 0) for cell in ("rnn", "gru", "depth-gated", "clockwork"))
    }
    assert sizes == {((COPY.inputs.size, 32), (8, 8), 32)}


class Sized(Cell):
    """`per_unit` parameters a unit, at widths that are multiples of `step`."""

    def __init__(self, input_size: int, hidden_size: int, *, per_unit: int, **_: Any) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.zeros(per_unit * hidden_size))

    @classmethod
    def widths(cls, low: int, high: int, *, step: int = 1, **_: Any) -> Iterable[int]:
        return range(-(-low // step) * step, high + 1, step)


def sized(**options: int) -> CellSpec:
    return CellSpec(replace(GRU.file), Sized, options)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 8, 64])
@pytest.mark.parametrize("per_unit", [4, 5, 12])
def test_the_width_is_the_largest_admissible_one_that_fits(step, per_unit):
    for budget in [*range(per_unit * step, per_unit * step + 40), 999, 1000, 4096, 8000]:
        expected = max(w for w in range(step, budget + 1, step) if w * per_unit <= budget)
        assert solve_width(sized(step=step, per_unit=per_unit), budget) == expected


def test_the_smallest_width_that_is_too_wide_is_named():
    with pytest.raises(UserError) as caught:
        solve_width(sized(step=8, per_unit=10), 79)
    assert str(caught.value).endswith("has 80 parameters at its smallest width, over the budget of 79")
    with pytest.raises(
        UserError, match=r"^cell gru has 103 parameters at its smallest width, over the budget of"
    ):
        solve_width(GRU, 64)


def test_of_a_reference_no_budget_is_asked():
    class Outside(Sized):
        reference = True

    spec = CellSpec(replace(GRU.file), Outside, {"step": 8, "per_unit": 10})
    assert solve_width(spec, 79) == 8
    assert solve_width(spec, 400) == 40


def test_a_cell_that_no_width_fills_is_named():
    with pytest.raises(UserError, match="admits no width whose parameters fit, or fill, a budget of 1,000"):
        solve_width(sized(per_unit=0), 1000)


def test_state_is_measured_over_all_its_leaves():
    class Nested(Sized):
        def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Any:
            zeros = lambda *shape: torch.zeros(batch_size, *shape, device=device, dtype=dtype)  # noqa: E731
            return {"h": zeros(3), "more": (zeros(2, 5), [zeros()])}

    assert state_floats(Nested(2, 3, per_unit=1)) == 3 + 10 + 1
