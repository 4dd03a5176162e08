"""A task whose answers are words among all others: trained on every next word, scored among candidates."""

import pytest
import torch
from torch.nn import functional as F

from harness.engine.engines import Reference, Traced
from harness.registry import find_task


@pytest.fixture
def task():
    return find_task("nl-birthplace[objective=lm]")


engines = pytest.mark.parametrize("engine", [Reference, lambda: Traced(1 << 30)], ids=["reference", "eager"])


def test_after_a_query_comes_its_answer_and_after_all_else_the_next_word(members, task):
    batch = members("gru").batch
    following = batch.following()
    (query,) = batch.queries
    words = [task.inputs.words[word] for word in following[:, query].flatten()]
    names = [task.output.names[target] for target in batch.targets.flatten()]
    assert words == names
    for t in range(following.shape[1] - 1):
        if t != query:
            assert torch.equal(following[:, t], batch.inputs[:, t + 1])


def test_a_question_in_the_middle_leaves_the_last_word_without_a_next_one(members):
    batch = members("gru").batch
    batch.queries[:] = [3]
    following = batch.following()
    assert (following[:, -1] == -100).all()
    assert torch.equal(following[:, 3], batch.candidates[batch.targets[:, 0]])


@engines
def test_the_loss_is_the_mean_cross_entropy_of_the_next_word(members, engine):
    these = members("gru", gap=13)
    losses, gradient = these.losses_and_gradient(engine())
    following = these.batch.following()
    for i, model in enumerate(these.models):
        scores = model(these.batch.inputs[i], range(following.shape[1]))
        loss = F.cross_entropy(scores.flatten(0, 1), following[i].flatten(), ignore_index=-100)
        own = torch.autograd.grad((i + 1) * loss, list(model.parameters()))
        torch.testing.assert_close(losses[i], loss.detach())
        torch.testing.assert_close(gradient[i], torch.cat([g.flatten() for g in own]))


@engines
def test_the_answer_is_the_likeliest_of_the_candidates(members, task, engine):
    these = members("gru")
    right = these.stacked(engine()).correct(these.flat, these.batch, task.output)
    for i, model in enumerate(these.models):
        scores = model(these.batch.inputs[i], these.batch.queries)[..., these.batch.candidates]
        assert right[i] == (scores.argmax(dim=-1) == these.batch.targets[i]).sum()
        assert scores.shape[-1] == task.output.size < task.inputs.size
