"""nl-pronoun: the kinship alone tells the gender, and neither place nor order tells whose counts."""

import re
import sys
from collections import Counter

import numpy as np
import pytest
from guesses import at_chance, naive_bayes

from harness.registry import find_task
from harness.task import Batch, Role

TASK = find_task("nl-pronoun")
module = sys.modules[type(TASK).__module__]
WORDS = module._vocabulary()
SIZE = 64

PERSON = r"[Mm]y (?P<kin{0}>\w+) (?P<name{0}>[A-Z]\w+)"
INTRODUCTION = re.compile(
    PERSON.format(1) + r" (?P<link>and|met|helped|phoned) " + PERSON.format(2) + r"( [a-zFJ]\w*){1,5} \."
)
GENDER = {kin: pronoun for pronoun, kins in module.KIN.items() for kin in kins.split()}


def batches(gap, count, split="train"):
    return [TASK.batch(split, 0, gap, index, SIZE) for index in range(count)]


def genders(batch):
    """Those of the two persons, in their order: (B, 2)."""
    gender = WORDS.gender[batch.inputs.T]
    return gender[gender >= 0].reshape(-1, 2)


def test_the_worked_example_of_the_docstring():
    found = re.search(r"…\s+(my .+?) ___.+?(\d+) tokens.+?answer is \"(\w+)\"", TASK.__doc__, re.DOTALL)
    words = WORDS.numbers(found[1].split())
    assert len(words) - 1 - words.tolist().index(WORDS.number["aunt"]) - 1 == int(found[2])
    batch = Batch(words[:, None], np.zeros((1, 1)), np.array([len(words) - 1]), np.zeros((len(words), 1)))
    assert TASK.output.names[TASK.solve(batch)[0, 0]] == found[3]


@pytest.mark.parametrize("gap", [13, 14, 15, 40])
def test_first_and_last_mentioned_gender_are_right_half_of_the_time(gap):
    for batch in batches(gap, 10):
        both = genders(batch)
        assert (both.sum(axis=1) == 1).all()
        assert ((both == batch.targets.T).sum(axis=0) == SIZE / 2).all()


@pytest.mark.parametrize("gap", [16, 40])
def test_what_is_neither_cue_nor_decoy_does_not_tell_the_answer(gap):
    """The last tokens by place, the bag of words, the place of the query, and the names in their order."""
    seen, new = batches(gap, 400), batches(gap, 150, "test")
    hidden = TASK.inputs.size

    def answers(some):
        return np.concatenate([batch.targets[0] for batch in some])

    def blind(batch):
        return np.where(WORDS.gender[batch.inputs] >= 0, hidden, batch.inputs)[-gap - 4 :].T

    def place(batch):
        return np.full((SIZE, 1), len(batch.inputs))

    def names(batch):
        return batch.inputs.T[np.isin(batch.inputs.T, WORDS.names)].reshape(SIZE, 3)

    for view in (blind, place, names):
        guess = naive_bayes(np.concatenate([*map(view, seen)]), answers(seen), hidden + 1, 2)
        assert at_chance(guess(np.concatenate([*map(view, new)])) == answers(new), 1 / 2), view

    counts = np.ones((2, hidden + 1))
    for batch in seen:
        np.add.at(counts, (np.broadcast_to(batch.targets[0, :, None], blind(batch).shape), blind(batch)), 1)
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    right = [logs[:, blind(batch)].sum(axis=2).argmax(axis=0) == batch.targets[0] for batch in new]
    assert at_chance(right, 1 / 2)


def test_the_place_of_the_cue_says_little_of_who_is_asked_about():
    """The best guess from the place of the first kinship, which is right 0.53 of the time."""
    counts = Counter(
        (place + before, asked)
        for before in range(module.SPREAD)
        for asked, place in enumerate((module.APART, 0))
    )
    guess = sum(max(counts[place, 0], counts[place, 1]) for place in {place for place, _ in counts})
    assert round(guess / counts.total(), 2) == 0.53
    found = Counter()
    for index in range(300):
        batch = TASK.batch("train", 0, 20, index, 8)
        cue, second = (batch.roles == Role.CUE).argmax(axis=0), (WORDS.gender[batch.inputs] >= 0)
        assert np.ptp(cue) == 0
        found[int(cue[0])] += 1
        assert set(np.unique(cue - second.argmax(axis=0))) == {0, module.APART}
    assert len(found) == module.SPREAD


def test_the_smallest_gap_is_the_smallest_above_which_none_is_missing_in_any_part():
    for part in ("all", "training", "held out"):
        lengths = module._pools(part).kept.sum(axis=1)
        for gap in range(TASK.min_gap, 40):
            rest = gap - TASK.min_gap + 2 - lengths
            assert ((rest == 0) | (rest >= 3)).sum() >= 4
    assert lengths.min() == 2


def test_pools_are_wide_and_names_are_not_words_of_the_filler():
    for part, names, endings, questions in [("all", 40, 80, 120), ("held out", 13, 25, 40)]:
        pools = module._pools(part)
        assert len(pools.names) >= names
        assert len(pools.endings) >= endings
        assert len(pools.questions) >= questions
    assert {len(kins.split()) for kins in module.KIN.values()} == {8}
    own = {*module.NAMES.split(), *GENDER}
    assert len(own) == len(module.NAMES.split()) + 16
    lower = {word.lower() for word in sys.modules["_harness_tasks._english"].english().words}
    assert not {word.lower() for word in own} & lower
    told = {word for ending in module.spelled_out(module.ENDINGS + module.QUESTIONS) for word in ending}
    assert not told & (own | {"she", "he", "her", "his", "him"})


def test_names_of_the_test_are_unseen_where_they_are_held_out():
    task = find_task("nl-pronoun[held_out=true]")

    def names(split):
        found = [task.batch(split, 0, 20, index, SIZE).inputs for index in range(20)]
        return set(np.concatenate([inputs[np.isin(inputs, WORDS.names)] for inputs in found]))

    assert len(names("train") | names("validation")) == 28
    assert len(names("test")) == 14
    assert not names("test") & (names("train") | names("validation"))


def test_a_row_reads_as_described():
    for gap in (13, 14, 15, 16, 21, 50):
        batch = TASK.batch("test", 0, gap, 0, SIZE)
        for row in range(SIZE):
            spans = TASK.render(batch, row)
            text = " ".join(span.text for span in spans)
            (found,) = INTRODUCTION.finditer(text)
            assert len({found["name1"], found["name2"]}) == 2
            asked = re.search(r"\. (?:[A-Z]\w+(?: \w+){0,2}) ([A-Z]\w+)(?: \w+){2,4} because$", text)[1]
            mine, other = (1, 2) if found["name1"] == asked else (2, 1)
            assert found[f"name{mine}"] == asked
            assert [s.text for s in spans if s.role == Role.CUE] == [found[f"kin{mine}"]]
            decoy = " ".join(s.text for s in spans if s.role == Role.DECOY)
            assert decoy.lower() == f"my {found[f'kin{other}']} {found[f'name{other}']}".lower()
            assert spans[-1].answer == GENDER[found[f"kin{mine}"]] != GENDER[found[f"kin{other}"]]
