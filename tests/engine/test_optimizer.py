"""Adam over a stack is torch's Adam of each member alone."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness.engine.optimizer import StackedAdam
from harness.protocol import QUICK

N = 7
RATES = [3e-3, 1e-2, 0.5]
FINE = torch.zeros(len(RATES)).double()
PROTOCOL = replace(QUICK, clip=0.8, beta1=0.85, beta2=0.97, epsilon=1e-3)


def start() -> Tensor:
    return torch.randn(len(RATES), N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gradients(updates: int = 30) -> Tensor:
    """Some far over the norm at which they are clipped, some far below: (U, P, N)."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.tensor([0.01, 0.1, 1.0, 1000.0], dtype=torch.float64)
    return torch.stack(
        [
            sizes[torch.randint(4, (len(RATES), 1), generator=generator)]
            * torch.randn(len(RATES), N, generator=generator, dtype=torch.float64)
            for _ in range(updates)
        ]
    )


def adam(rows: slice = slice(None)) -> StackedAdam:
    return StackedAdam(start()[rows], torch.tensor(RATES, dtype=torch.float64)[rows], PROTOCOL)


def alone(i: int, updates: Tensor) -> Tensor:
    """The member's parameters after the updates, by torch's own clipping and optimizer."""
    parameter = torch.nn.Parameter(start()[i])
    betas = PROTOCOL.beta1, PROTOCOL.beta2
    theirs = torch.optim.Adam([parameter], lr=RATES[i], betas=betas, eps=PROTOCOL.epsilon)
    for gradient in updates[:, i]:
        parameter.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([parameter], PROTOCOL.clip)
        theirs.step()
    return parameter.detach()


def test_it_is_clipping_then_adam_of_each_member_alone():
    ours, updates = adam(), gradients()
    norms = updates.norm(dim=2)
    assert (norms > PROTOCOL.clip).any(dim=0).all()
    assert (norms < PROTOCOL.clip).any(dim=0).all()
    for update, gradient in enumerate(updates, 1):
        ours.step(update, FINE, gradient)
    # torch adds 1e-6 to the norm that it divides by
    expected = torch.stack([alone(i, updates) for i in range(len(RATES))])
    torch.testing.assert_close(ours.parameters, expected, rtol=1e-4, atol=1e-6)
    assert ours.training.all()
    assert not ours.diverged_at.any()


def test_without_clipping_it_is_adam_to_the_last_digits():
    ours, updates = adam(), 1e-3 * torch.nn.functional.normalize(gradients(), dim=2)
    for update, gradient in enumerate(updates, 1):
        ours.step(update, FINE, gradient)
    expected = torch.stack([alone(i, updates) for i in range(len(RATES))])
    torch.testing.assert_close(ours.parameters, expected, rtol=1e-12, atol=1e-14)


def test_clipping_comes_before_the_moments():
    ours, gradient = adam(), gradients(1)[0] * 1e6
    ours.step(1, FINE, gradient)
    clipped = gradient * (PROTOCOL.clip / gradient.norm(dim=1, keepdim=True))
    torch.testing.assert_close(ours.first, (1 - PROTOCOL.beta1) * clipped)
    torch.testing.assert_close(ours.second, (1 - PROTOCOL.beta2) * clipped**2)


def test_a_gradient_at_the_norm_or_below_is_left_as_it_is():
    for size in (1.0, 0.999, 1e-30, 0.0):
        ours = adam()
        gradient = size * PROTOCOL.clip * torch.nn.functional.normalize(start(), dim=1)
        ours.step(1, FINE, gradient)
        torch.testing.assert_close(ours.first, (1 - PROTOCOL.beta1) * gradient, rtol=1e-14, atol=0)
        assert ours.training.all()


@pytest.mark.parametrize("size", [1e6, 1e30, 1e200])
def test_the_gradient_of_one_member_is_not_clipped_with_that_of_another(size):
    quiet, loud, updates = adam(), adam(), gradients()
    for update, gradient in enumerate(updates, 1):
        quiet.step(update, FINE, gradient)
        louder = gradient.clone()
        louder[1] *= size
        loud.step(update, FINE, louder)
    for other in (0, 2):
        assert torch.equal(quiet.parameters[other], loud.parameters[other])
    assert not torch.equal(quiet.parameters[1], loud.parameters[1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_member_that_is_not_finite_is_frozen_and_touches_no_other(where, bad):
    healthy, ill, updates = adam(), adam(), gradients()
    for update, gradient in enumerate(updates, 1):
        healthy.step(update, FINE, gradient)
        loss, gradient = FINE.clone(), gradient.clone()
        if update == 5:
            before = ill.parameters[1].clone()
            loss[1], gradient[1, 3] = (bad, gradient[1, 3]) if where == "loss" else (0.0, bad)
        if update == 9:
            loss[1] = float("nan")  # the update that is noted stays the first
        ill.step(update, loss, gradient)
    assert ill.diverged_at.tolist() == [0, 5, 0]
    assert ill.training.tolist() == [True, False, True]
    assert torch.equal(ill.parameters[1], before)
    for other in (0, 2):
        assert torch.equal(healthy.parameters[other], ill.parameters[other])


def test_a_member_taken_out_of_training_stays_where_it_is():
    ours, updates = adam(), gradients(4)
    ours.step(1, FINE, updates[0])
    before = ours.parameters.clone()
    ours.training[2] = False
    for update, gradient in enumerate(updates[1:], 2):
        ours.step(update, torch.tensor([0.0, 0.0, float("nan")]).double(), gradient)
    assert torch.equal(ours.parameters[2], before[2])
    assert not (ours.parameters[:2] == before[:2]).any()
    assert not ours.diverged_at.any()


def test_a_member_is_the_same_alone():
    whole, part, updates = adam(), adam(slice(1, 2)), gradients()
    for update, gradient in enumerate(updates, 1):
        whole.step(update, FINE, gradient)
        part.step(update, FINE[1:2], gradient[1:2])
    torch.testing.assert_close(whole.parameters[1:2], part.parameters, rtol=1e-14, atol=0)
