"""All ways to run a population agree, forward and gradient, in float64."""

from dataclasses import replace

import plugin_cells
import pytest
import torch
from torch.nn import functional as F

from harness.engine.engines import Reference, Traced, Unrolled
from harness.registry import cell_files
from harness.task import Classes

ALIKE = {"chrono-lstm", "peephole-lstm", "coupled-lstm", "mgu", "irnn", "indrnn", "min-lstm", "last-k"}
"""Cells made of the operations of the others; all cells are run through `harness.checks` besides."""
CELLS = [*sorted({*cell_files()} - ALIKE), "lstm[layers=2]", "gru[reset=before]", *plugin_cells.FITTING]
PLENTY = 1 << 30
close = {"rtol": 1e-9, "atol": 1e-11}


def own(members):
    """Losses and gradients of each model by itself, by plain autograd."""
    losses, gradients = [], []
    for i, model in enumerate(members.models):
        answers = model(members.batch.inputs[i], members.batch.queries)
        targets = members.batch.targets[i]
        if isinstance(members.task.output, Classes):
            loss = F.cross_entropy(answers.flatten(0, 1), targets.flatten())
        else:
            loss = F.mse_loss(answers[..., 0], targets)
        learned = [p for p in model.parameters() if p.requires_grad]
        found = iter(torch.autograd.grad((i + 1) * loss, learned, materialize_grads=True))
        whole = [next(found) if p.requires_grad else torch.zeros_like(p) for p in model.parameters()]
        losses.append(loss.detach())
        gradients.append(torch.cat([g.flatten() for g in whole]))
    return torch.stack(losses), torch.stack(gradients)


@pytest.mark.parametrize("name", CELLS)
def test_reference_and_eager_are_what_each_model_is_by_itself(members, name):
    these = members(name)
    losses, gradient = own(these)
    assert len(set(losses.tolist())) == 3
    for engine in (Reference(), Traced(PLENTY)):
        found = these.losses_and_gradient(engine)
        torch.testing.assert_close(found, (losses, gradient), **close)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_compiled_agrees_with_the_reference(require, members, name):
    require("compiler")
    these = members(name)
    engine = Traced(PLENTY, compile=True, note=pytest.fail)
    torch.testing.assert_close(these.losses_and_gradient(engine), own(these), **close)
    assert engine.name == "compiled"


@pytest.mark.parametrize("name", ["lstm", "counting", "learned_start"])
def test_what_does_not_fit_into_memory_is_computed_again(members, name):
    these = members(name)
    steps, calls = len(these.batch.inputs[0]), []
    roomy, tight = Traced(PLENTY), Traced(1)
    expected = these.losses_and_gradient(roomy)
    these.losses_and_gradient(tight)
    for engine in (roomy, tight):
        for key, step in engine._steps.items():
            counted = lambda *tensors, run=step.forward: calls.append(1) or run(*tensors)  # noqa: E731
            engine._steps[key] = replace(step, forward=counted)
    torch.testing.assert_close(these.losses_and_gradient(roomy), expected, rtol=0, atol=0)
    assert len(calls) == steps
    calls.clear()
    torch.testing.assert_close(these.losses_and_gradient(tight), expected, rtol=0, atol=0)
    assert steps < len(calls) < 2 * steps


@pytest.mark.parametrize("name", ["unrolling", "unrolling_module", "transformer"])
def test_a_whole_sequence_at_once_is_the_same_as_its_steps(members, name):
    """Also where the sequence cannot be vmapped, as torch's own modules cannot."""
    these = members(name)
    torch.testing.assert_close(these.losses_and_gradient(Unrolled()), own(these), **close)


@pytest.mark.parametrize("name", ["gru", "step_only", "learned_start"])
@pytest.mark.parametrize("engine", [Reference, lambda: Traced(PLENTY)], ids=["reference", "eager"])
def test_right_answers_are_counted_of_each_member(members, engine, name):
    these = members(name)
    right = these.stacked(engine()).correct(these.flat, these.batch, these.task.output)
    for i, model in enumerate(these.models):
        answers, targets = model(these.batch.inputs[i], these.batch.queries), these.batch.targets[i]
        if isinstance(these.task.output, Classes):
            expected = (answers.argmax(-1) == targets).sum()
        else:
            expected = ((answers[..., 0] - targets).abs() < these.task.output.tolerance).sum()
        assert right[i] == expected
    assert 0 < right.sum() < these.batch.targets.numel()


@pytest.mark.parametrize("gap", [0, 1, 12, 13, 60])
def test_every_length_is_run_by_the_same_step(members, gap):
    engine = Traced(PLENTY)
    members("gru", gap=29).losses_and_gradient(engine)
    (step,) = engine._steps.values()
    these = members("gru", gap=gap)
    torch.testing.assert_close(these.losses_and_gradient(engine), own(these), **close)
    assert list(engine._steps.values()) == [step]


def test_float32_agrees_to_its_own_precision(members):
    these = members("lstm", dtype=torch.float32)
    torch.testing.assert_close(these.losses_and_gradient(Traced(PLENTY)), own(these), rtol=1e-4, atol=1e-5)
