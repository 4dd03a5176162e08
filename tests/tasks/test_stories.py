"""nl-boxes, nl-clouds, nl-passkey, nl-season: worked examples, silent filler, no shortcut to the answer."""

import re
import sys

import numpy as np
import pytest

from harness.checks.chance import at_chance, naive_bayes
from harness.registry import find_task
from harness.task import Batch, Role

BLIND = {"nl-boxes": 1 / 8, "nl-clouds": 1 / 12, "nl-passkey": 1 / 10, "nl-season": 1 / 4}
"""How often a guess is right that sees neither cue nor decoy."""
SIZE = 64

RELATIVES = {
    "nl-boxes": "boxes hatboxes shoeboxes lunchboxes swapped",
    "nl-clouds": "cloud whale shark bat egg monk glider hives",
    "nl-passkey": "two three four five six seven eight nine zero",
    "nl-season": """spring snow snowed snowy blizzard frost icy frozen heat sunny cold harvest buds blossoms
        leaves bloomed withered tulips snowdrops lambs skaters swimmers""",
}

every_story = pytest.mark.parametrize("name", BLIND)


def not_above(right, chance):
    """Whether the share of right answers is at chance or below it."""
    return np.mean(right) < chance or at_chance(right, chance)


def batches(task, gap, count, split="train"):
    return [task.batch(split, 0, gap, index, SIZE) for index in range(count)]


@every_story
def test_the_worked_example_of_the_docstring(name):
    """`… words [cue] words {decoy} words <question>`: the oracle, the roles and the gap are as it says."""
    task, marks = find_task(name), {"[": Role.CUE, "{": Role.DECOY, "<": Role.QUESTION}
    text, gap, answers = re.search(
        r"…\s+(.+?>)\s+gap (\d+), answers? ([^\n]+)", task.__doc__, re.DOTALL
    ).groups()
    number, words, roles, role = task.vocabulary.number, [], [], Role.PREFIX
    for token in re.findall(r"[\w.,]+|[][{}<>]", text):
        if token in marks or token in "]}>":
            role = marks.get(token, Role.PREFIX)
        else:
            words.append(number[token if token in number else token.lower()])
            roles.append(role)
    right = np.array([[task.output.names.index(answer)] for answer in answers.split()])
    queries = np.arange(len(words) - len(right), len(words))
    last = len(roles) - 1 - roles[::-1].index(Role.CUE)
    roles[last + 1 :] = [Role.FILLER if role == Role.PREFIX else role for role in roles[last + 1 :]]
    batch = Batch(np.array(words)[:, None], right, queries, np.array(roles, np.int8)[:, None])
    np.testing.assert_array_equal(task.solve(batch), right)
    assert queries[0] - last - 1 == int(gap)

    dependency = []
    for t in range(roles.index(Role.QUESTION)):
        for other in task.alternatives(batch, 0, t):
            inputs = batch.inputs.copy()
            inputs[t] = other
            if (task.solve(Batch(inputs, right, queries, batch.roles)) != right).any():
                dependency.append(t)
    assert set(dependency) == {t for t, role in enumerate(roles) if role == Role.CUE}


@every_story
def test_the_filler_is_silent_on_cues_answers_and_their_relatives(name):
    task, told = find_task(name), {*RELATIVES[name].split(), *find_task(name).output.names}
    for index in range(20):
        batch = task.batch("train", 0, task.min_gap + 5, index, SIZE)
        told |= {task.inputs.words[word] for word in batch.inputs[batch.roles == Role.CUE]}
    for part in ("all", "training", "held out"):
        filler = sys.modules["_harness_tasks._english"].english(part, task.vocabulary.without)
        written = {filler.words[number] for number in filler.own}
        assert not told & written
        assert len(written) > 700


@every_story
@pytest.mark.parametrize("extra", [3, 28])
def test_what_is_not_the_cue_does_not_tell_the_answer(name, extra):
    """The last tokens by place, the place of the cue, the bag of words behind the cue and that of the row."""
    task = find_task(name)
    gap, classes, vocabulary = task.min_gap + extra, task.output.size, task.inputs.size
    seen, new = batches(task, gap, 200), batches(task, gap, 100, "test")

    def answers(some):
        return np.concatenate([batch.targets[0] for batch in some])

    def last(k):  # up to the first query
        return lambda batch: batch.inputs[batch.queries[0] - k + 1 : batch.queries[0] + 1].T

    def place(batch):
        return np.full((SIZE, 1), len(batch.inputs))

    for view in (last(1), last(4), place):
        guess = naive_bayes(np.concatenate([*map(view, seen)]), answers(seen), vocabulary, classes)
        right = guess(np.concatenate([*map(view, new)])) == answers(new)
        assert not_above(right, BLIND[name])

    def behind(batch):
        return batch.inputs[batch.queries[0] - gap : batch.queries[0] + 1]

    def without_cue(batch):
        rows = np.where(batch.roles == Role.CUE, vocabulary, batch.inputs)
        return rows[: batch.queries[0] + 1]

    for view in (behind, without_cue):
        words = np.ones((classes, vocabulary + 1))
        for batch in seen:
            found = view(batch)
            np.add.at(words, (np.broadcast_to(batch.targets[:1], found.shape), found), 1)
        words = np.log(words / words.sum(axis=1, keepdims=True))
        right = [words[:, view(batch)].sum(axis=1).argmax(axis=0) == batch.targets[0] for batch in new]
        assert not_above(right, task.chance(gap))


@every_story
def test_the_smallest_gap_is_the_smallest_above_which_none_is_missing(name):
    for task in (find_task(name), find_task(f"{name}[held_out=true]")):
        for gap in (*range(task.min_gap, task.min_gap + 30), 300, 1000):
            for index in range(3):
                batch = task.batch("test", 0, gap, index, 7)
                last = len(batch.roles) - 1 - (batch.roles == Role.CUE)[::-1].argmax(axis=0)
                assert (batch.queries[0] - last - 1 == gap).all()
