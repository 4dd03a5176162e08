"""What holds for all synthetic probes: their worked examples, chance, and that no shortcut leads anywhere."""

import re

import numpy as np
import pytest
from guesses import at_chance, naive_bayes

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


def batches(task, gap, count, split="train", size=64):
    return [task.batch(split, 0, gap, index, size) for index in range(count)]


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


def seen(task, some, query):
    """Rows without their cue, counted back from the query: tokens by place (N, 40) and their bag (N, V).

    What is hidden or not there is a word of its own.
    """
    size, places = task.inputs.size, []
    for batch in some:
        cue = batch.roles == Role.CUE
        if task.streaming:  # what the query hangs on, be it before the question or in it
            cue = np.zeros_like(cue)
            cue[query] = True
        rows = np.where(cue, size, batch.inputs)[: batch.queries[query] + 1].T[:, -40:]
        places.append(np.pad(rows, [(0, 0), (40 - rows.shape[1], 0)], constant_values=size + 1))
    by_place = np.concatenate(places)
    bag = np.stack([(by_place == token).sum(axis=1) for token in range(size)], axis=1)
    return by_place, bag


@pytest.mark.parametrize("task", CLASSES, ids=lambda task: task.id)
@pytest.mark.parametrize("extra", [2, 17])
def test_what_is_not_the_cue_does_not_tell_the_answer(task, extra):
    """By the last tokens, by every token in its place, by the bag of tokens, by the place of the query."""
    gap, size, classes = task.min_gap + extra, task.inputs.size + 2, task.output.size
    train, test = batches(task, gap, 200), batches(task, gap, 100, "test")
    for query in {0, len(train[0].queries) - 1}:
        answers, right = (np.concatenate([b.targets[query] for b in some]) for some in (train, test))
        (places, bag), (new_places, new_bag) = seen(task, train, query), seen(task, test, query)
        lengths = [np.repeat([[len(b.inputs)] for b in some], 64, axis=0) for some in (train, test)]
        shortcuts = {
            "places": (places, new_places, size),
            "last two": (places[:, -2:] @ [[size], [1]], new_places[:, -2:] @ [[size], [1]], size**2),
            "last three": (
                places[:, -3:] @ [[size**2], [size], [1]],
                new_places[:, -3:] @ [[size**2], [size], [1]],
                size**3,
            ),
            "bag": (bag, new_bag, 41),
            "length": (*lengths, 100),
        }
        for name, (features, new, words) in shortcuts.items():
            guess = naive_bayes(features, answers, words, classes)
            assert at_chance(guess(new) == right, task.chance(gap), z=4), name


def test_only_gap_add_is_of_real_numbers():
    assert [name for name in SYNTHETIC if isinstance(find_task(name).inputs, Reals)] == ["gap-add"]
