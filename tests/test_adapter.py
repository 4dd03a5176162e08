"""Modules as cells: torch's own, and those of a package where it is installed."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.adapter import ModuleCell
from harness.cell import count_parameters
from harness.errors import UserError
from harness.model import state_floats
from harness.registry import find_cell

THREE_LINES = """\
from {package} import {module}
from harness import ModuleCell

class Their{module}(ModuleCell):
    module = {module}
"""


def cell_of(folder: Path, package: str, module: str, text: str = THREE_LINES):
    path = folder / f"their_{module.lower()}.py"
    path.write_text(text.format(package=package, module=module))
    return find_cell(str(path))


def steps(cell, x, state):
    outputs = []
    for x_t in x.unbind():
        y, state = cell.step(x_t, state)
        outputs.append(y)
    return torch.stack(outputs), state


@pytest.mark.parametrize("module", ["GRU", "LSTM", "RNN"])
def test_torchs_own(module, tmp_path):
    cell = cell_of(tmp_path, "torch.nn", module).build(5, 8).double()
    x = torch.randn(11, 3, 5, dtype=torch.float64)
    start = cell.initial_state(3, device=torch.device("cpu"), dtype=torch.float64)
    theirs, _ = cell.inner(x)
    ours, last = steps(cell, x, start)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(cell.unroll(x, start), (ours, last))
    assert count_parameters(cell) == sum(p.numel() for p in cell.inner.parameters())
    assert state_floats(cell) == (16 if module == "LSTM" else 8)


def test_a_state_is_of_each_row(tmp_path):
    cell = cell_of(tmp_path, "torch.nn", "LSTM").build(5, 8)
    x, start = torch.randn(4, 3, 5), cell.initial_state(3, device=torch.device("cpu"), dtype=torch.float32)
    _, (h, c) = cell.unroll(x, start)
    assert h.shape == c.shape == (3, 1, 8)
    _, (alone, _) = cell.unroll(x[:, 1:2], (start[0][1:2], start[1][1:2]))
    torch.testing.assert_close(alone[0], h[1])


def test_what_else_the_module_takes_may_be_an_option(tmp_path):
    text = THREE_LINES + (
        "\n    def __init__(self, input_size, hidden_size, *, depth: int = 2):\n"
        "        super().__init__(input_size, hidden_size, num_layers=depth)\n"
    )
    spec = cell_of(tmp_path, "torch.nn", "GRU", text)
    assert spec.build(5, 8).inner.num_layers == 2
    deep = find_cell(f"{spec.reference}[depth=3]")
    assert deep.id == "their-gru[depth=3]"
    assert state_floats(deep.build(5, 8)) == 24


def test_a_module_that_does_not_keep_to_the_convention_is_refused(tmp_path):
    text = THREE_LINES + (
        "\n    def __init__(self, input_size, hidden_size):\n"
        "        super().__init__(input_size, hidden_size, bidirectional=True)\n"
    )
    with pytest.raises(UserError, match=r"cell their-gru: GRU gives \(1, 2, 16\) for an input \(1, 2, 5\)"):
        cell_of(tmp_path, "torch.nn", "GRU", text).build(5, 8)


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_it_trains_though_it_cannot_be_traced(engine, tmp_path):
    from dataclasses import replace

    from harness.engine import Member, Population, Settings, train
    from harness.protocol import QUICK
    from harness.registry import find_task

    rules = replace(QUICK, updates=14, batch_size=8, rows=64)
    spec, notes = cell_of(tmp_path, "torch.nn", "GRU"), []
    population = Population(spec, find_task("gap-copy"), rules, 8, 2, (Member(0, 0.01), Member(1, 0.01)))
    settings = Settings(torch.device("cpu"), engine=engine)
    trained = train(population, settings, note=notes.append)
    assert [member.outcome for member in trained] == ["finished", "finished"]
    assert [member.engine for member in trained] == [{"auto": "unroll"}.get(engine, engine)] * 2
    assert len(notes) == (engine == "auto")


@pytest.mark.skipif(importlib.util.find_spec("torchrecurrent") is None, reason="needs torchrecurrent")
@pytest.mark.parametrize("module", ["MGU", "PeepholeLSTM", "UGRNN"])
def test_those_of_another_package(module, tmp_path):
    cell = cell_of(tmp_path, "torchrecurrent", module).build(5, 8)
    x = torch.randn(7, 3, 5)
    start = cell.initial_state(3, device=torch.device("cpu"), dtype=torch.float32)
    ours, last = steps(cell, x, start)
    torch.testing.assert_close(ours, cell.inner(x)[0])
    torch.testing.assert_close(cell.unroll(x, start), (ours, last))


def test_the_class_is_what_a_submitter_imports():
    import harness

    assert harness.ModuleCell is ModuleCell
    assert issubclass(ModuleCell, nn.Module)
