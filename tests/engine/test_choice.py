"""The engine is chosen by the time that it takes."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness.cell import Cell
from harness.engine import Settings, compiler
from harness.engine.choice import MEASURED, WARM_UP, Choice
from harness.engine.engines import Reference, Traced, Unrolled


class Stepping(Cell):
    pass


class Unrolling(Cell):
    def unroll(self, x, state):
        return x, state


@pytest.fixture
def asked(monkeypatch):
    """The seconds of work ahead that compiling was weighed with; it pays above 100."""
    found = []
    monkeypatch.setattr(Traced, "pays", lambda self, seconds: found.append(seconds) or seconds > 100)
    return found


def choice(cell: type[Cell] = Stepping, **how) -> Choice:
    return Choice(Settings(torch.device("cpu"), **how), cell(2, 3), pytest.fail)


def spend(one: Choice, seconds: float, *, left: int, steps: int = 10, updates: int = MEASURED) -> None:
    """The updates that are measured, and those before that are not, which are slow."""
    for _ in range(WARM_UP):
        one.took(1e9, steps, 10**9)
    for number in range(updates):
        one.took(seconds, steps, left + updates - 1 - number)


@pytest.mark.parametrize("engine", ["reference", "eager", "compiled"])
def test_what_is_asked_for_stays(asked, engine):
    one = choice(Unrolling, engine=engine)
    assert one.engine.name == engine
    spend(one, 1.0, left=10**6)
    assert one.engine.name == engine
    assert asked == []


def test_it_compiles_when_the_work_ahead_pays(asked):
    one = choice()
    assert one.engine.name == "eager"
    spend(one, 0.5, left=300)
    assert asked == [pytest.approx(0.5 * 300)]
    assert one.engine.name == "compiled"


def test_it_does_not_compile_for_a_little_work(asked):
    one = choice()
    spend(one, 0.5, left=100)
    assert asked == [pytest.approx(50)]
    assert one.engine.name == "eager"
    spend(one, 1e9, left=10**6)  # it is not weighed again
    assert len(asked) == 1


def test_work_of_other_populations_counts(asked):
    one = choice(steps_ahead=2000)
    spend(one, 0.5, left=100, steps=10)
    assert asked == [pytest.approx(0.5 * 100 + 0.05 * 2000)]
    assert one.engine.name == "compiled"


def test_it_weighs_nothing_before_it_has_measured(asked):
    one = choice()
    spend(one, 1e6, left=10**6, updates=MEASURED - 1)
    assert asked == []


@pytest.mark.parametrize(("stepping", "expected"), [(2.0, Unrolled), (0.1, Traced)])
def test_the_cells_own_unroll_is_tried_and_the_quicker_kept(asked, stepping, expected):
    one = choice(Unrolling)
    assert isinstance(one.engine, Unrolled)
    spend(one, 1.0, left=1000)
    assert isinstance(one.engine, Traced)
    one.took(1e9, 10, 10**9)  # traces the step
    for left in range(510, 499, -1):
        one.took(stepping, 10, left)
    assert isinstance(one.engine, expected)
    assert asked == ([pytest.approx(50)] if expected is Traced else [])


def test_what_is_hopelessly_slow_is_tried_twice_only(asked):
    """The first update traces the step, and says nothing."""
    one = choice(Unrolling)
    spend(one, 1.0, left=1000)
    one.took(100.0, 1, 500)
    assert isinstance(one.engine, Traced)
    one.took(100.0, 1, 500)
    assert isinstance(one.engine, Unrolled)
    assert one.to_try == []


@pytest.mark.parametrize(
    ("cell", "way", "engine"),
    [(Cell, "one member at a time, step by step", Reference), (Unrolling, "by its own unroll", Unrolled)],
)
def test_after_falling_back_nothing_is_tried(asked, cell, way, engine):
    notes = []
    one = Choice(Settings(torch.device("cpu")), cell(2, 3), notes.append)
    one.fall_back("the reason")
    assert notes == [f"trains {way}: the reason"]
    spend(one, 1.0, left=10**6)
    spend(one, 1.0, left=10**6)
    assert isinstance(one.engine, engine)
    assert asked == []


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    """What is given to the compiler, which does nothing; with an empty cache."""
    found = []
    monkeypatch.setattr(compiler, "_compile", lambda graph: found.append(graph) or graph)
    monkeypatch.setattr(compiler, "_done", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return found


def trained(members, name: str = "rnn") -> Traced:
    """An engine that has trained."""
    engine = Traced(1 << 28)
    members(name, gap=2).losses_and_gradient(engine)
    return engine


def test_compiling_costs_less_where_it_was_done_before(compilations, members, monkeypatch):
    engine = trained(members)
    ((_, step),) = engine._traced.values()
    cold, warm = compiler.COLD_SECONDS / compiler.GAIN, compiler.WARM_SECONDS / compiler.GAIN
    assert (engine.pays(cold - 1), engine.pays(cold + 1)) == (False, True)
    compiler.compiled(step)
    compiler.compiled(step)
    assert compilations == [step.forward, step.backward]
    assert engine.pays(1e-9)  # this process has it
    monkeypatch.setattr(compiler, "_done", {})  # as another one
    assert (engine.pays(warm - 1), engine.pays(warm + 1)) == (False, True)


def test_whether_it_pays_is_told_of_steps_that_are_no_graphs_any_more(compilations, members, monkeypatch):
    """On a GPU they are recorded before the question comes."""
    made = []

    def recorded(self, step, training):
        made.append(replace(step, forward=lambda *t: step.forward(*t), backward=lambda *t: step.backward(*t)))
        return made[-1]

    monkeypatch.setattr(Traced, "_prepared", recorded)
    engine = trained(members)
    assert made
    assert engine.pays(1e6)
    assert not engine.pays(0.0)


def test_another_cell_another_width_or_another_constant_is_compiled_anew(compilations, members, tmp_path):
    from harness.registry import find_cell

    source = (
        "import torch\nfrom harness import Cell\n\n\nclass C(Cell):\n"
        "    def initial_state(self, batch_size, *, device, dtype):\n"
        "        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)\n\n"
        "    def step(self, x, h):\n"
        "        h = 0.5 * h + x[:, : self.hidden_size] * torch.tensor({numbers})\n"
        "        return h, h\n"
    )
    names = []
    for number, numbers in enumerate(json.dumps([1.0] * 7 + [last]) for last in (1.0, 2.0)):
        path = tmp_path / f"constant{number}.py"
        path.write_text(source.format(numbers=numbers))
        names.append(str(path))
        assert isinstance(find_cell(str(path)).build(32, 8), nn.Module)
    steps = [step for name in ("rnn", "gru", *names) for _, step in trained(members, name)._traced.values()]
    for step in steps:
        compiler.compiled(step)
    assert len(compilations) == 2 * len(steps)
