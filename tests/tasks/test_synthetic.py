"""What holds for all synthetic probes: their worked examples and chance."""

import re

import numpy as np
import pytest

from harness.registry import find_task, task_classes
from harness.task import Batch, Classes, Reals, Role, Tokens

SYNTHETIC = [name for name in task_classes() if name.startswith("gap-")]
VARIANTS = [
    "gap-bracket[depth=1]",
    "gap-hop[hops=3]",
    "gap-order[symbols=3]",
    "gap-parity[additions=3,modulus=5]",
    "gap-recall[overwrite=true]",
    "gap-select[payload=10]",
]
CLASSES = [task for task in map(find_task, SYNTHETIC + VARIANTS) if isinstance(task.output, Classes)]


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_worked_example_of_the_docstring(name):
    """`tokens … gap G, answer A`: the oracle gives these answers, and the gap is what it says."""
    task = task_classes()[name]()
    found = re.findall(r"^ +(.+?) {2,}gap (\d+), answers? (.+)$", task.__doc__, re.MULTILINE)
    assert len(found) == 1
    tokens, gap, answers = found[0][0].split(), int(found[0][1]), found[0][2].split()
    tokens, answers = ([word for word in words if word != "…"] for words in (tokens, answers))
    if isinstance(task.inputs, Tokens):
        inputs = np.array([[task.inputs.words.index(word)] for word in tokens])
        right = np.array([[task.output.names.index(word)] for word in answers])
    else:
        marks = {"*": 1.0, "?": -1.0}
        inputs = np.array([[[float(word.rstrip("*?")), marks.get(word[-1], 0.0)]] for word in tokens])
        right = np.array([[float(word)] for word in answers])
    queries = np.arange(len(inputs) - len(right), len(inputs))
    batch = Batch(inputs, right, queries, np.full(inputs.shape[:2], Role.FILLER, np.int8))
    np.testing.assert_allclose(task.solve(batch), right)

    dependency = []
    for t in range(queries[0]):
        for other in task.alternatives(batch, 0, t):
            changed = Batch(inputs.copy(), right, queries, batch.roles)
            changed.inputs[t, 0] = other
            changes = ~np.isclose(task.solve(changed), right)
            if (changes[0] if task.streaming else changes).any():
                dependency.append(t)
    assert queries[0] - max(dependency) - 1 == gap


@pytest.mark.parametrize("task", CLASSES, ids=lambda task: task.id)
def test_every_constant_answer_is_right_as_often_as_chance_says(task):
    classes = task.output.size
    batch = task.batch("test", 0, task.min_gap + 3, 0, 5 * classes)
    for answers in batch.targets:
        assert (np.bincount(answers, minlength=classes) / answers.size == task.chance(task.min_gap + 3)).all()


def test_only_gap_add_is_of_real_numbers():
    assert [name for name in SYNTHETIC if isinstance(find_task(name).inputs, Reals)] == ["gap-add"]
