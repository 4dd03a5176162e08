"""What an update costs grows with the length of a sequence and not with its square."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.engine.engines import Reference, Traced


class Written(TorchDispatchMode):
    """Counts the numbers that operations give back."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.numbers += sum(leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result


@pytest.mark.parametrize("engine", [Reference, lambda: Traced(1 << 30)], ids=["reference", "eager"])
def test_the_inputs_of_the_steps_cost_no_more_the_longer_the_sequence(members, engine):
    """Inputs taken as `x[t]` would fill a gradient of the whole sequence at every step."""
    numbers = []
    for gap in (50, 400):
        stack = members("rnn", gap=gap)
        run = engine()
        stack.losses_and_gradient(run)  # traces the step
        with Written() as written:
            stack.losses_and_gradient(run)
        numbers.append(written.numbers / len(stack.batch.inputs[0]))
    assert numbers[1] < 1.2 * numbers[0]


def test_inputs_taken_one_by_one_would_be_found():
    x = torch.randn(400, 4, 8, requires_grad=True)
    found = []
    for steps in (x.unbind(), [x[t] for t in range(len(x))]):
        with Written() as written:
            torch.autograd.grad(sum(step.tanh().sum() for step in steps), x)
        found.append(written.numbers / x.numel())
    assert found[0] < 10 < 100 < found[1]
