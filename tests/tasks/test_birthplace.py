"""nl-birthplace: nothing but the cue tells the answer, and little before the question who is asked about."""

import re
import sys
from collections import defaultdict
from math import sqrt

import numpy as np
import pytest

from harness.registry import find_task
from harness.task import Role

TASKS = [find_task("nl-birthplace"), find_task("nl-birthplace[pronoun=true]")]
GAPS = (16, 40)
SIZE = 64

both = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
module = sys.modules[type(TASKS[0]).__module__]


def batches(task, gap, count, split="train"):
    return [task.batch(split, 0, gap, index, SIZE) for index in range(count)]


def countries(batch):
    """The times and the languages of the two countries of each row, in their order: (B, 2) each."""
    language = module._vocabulary().language[batch.inputs.T]
    return np.nonzero(language >= 0)[1].reshape(-1, 2), language[language >= 0].reshape(-1, 2)


@both
@pytest.mark.parametrize("gap", GAPS)
def test_first_and_last_mentioned_country_are_right_half_of_the_time(task, gap):
    for batch in batches(task, gap, 20):
        _, spoken = countries(batch)
        assert (spoken[:, 0] == batch.targets[0]).sum() == SIZE / 2
        assert (spoken[:, 1] == batch.targets[0]).sum() == SIZE / 2


@both
def test_the_decoy_rules_out_one_language_and_tells_no_more(task):
    pairs = np.zeros((16, 16))
    for batch in batches(task, 40, 400):
        for row, spoken in enumerate(countries(batch)[1]):
            answer = batch.targets[0, row]
            pairs[answer, spoken[spoken != answer][0]] += 1
    assert (pairs.diagonal() == 0).all()
    expected = pairs.sum() / (16 * 15)
    off = pairs[~np.eye(16, dtype=bool)]
    assert (
        (off - expected) ** 2 / expected
    ).sum() < 320  # χ² with 239 degrees of freedom: 99.9 % are below 313
    assert task.chance(40) == 1 / 15


@both
def test_the_births_look_alike_whoever_is_asked_about(task):
    """Distance of the countries and lengths of the births, by whether the first is asked about."""
    distance, asked = [], []
    for batch in batches(task, 64, 200):
        times, _ = countries(batch)
        distance += (times[:, 1] - times[:, 0]).tolist()
        asked += (batch.roles[times[:, 0], np.arange(SIZE)] == Role.CUE).tolist()
    distance, asked = np.array(distance), np.array(asked)
    one, other = distance[asked], distance[~asked]
    error = sqrt(one.var() / len(one) + other.var() / len(other))
    assert abs(one.mean() - other.mean()) < 3.29 * error


@both
def test_the_place_of_the_cue_says_little_of_who_is_asked_about(task):
    """The best guess from the places of the births. In texts this short it cannot be at chance."""
    counts = defaultdict(lambda: [0.0, 0.0])
    for extra in range(module.SPREAD):
        before = task._birth + 3 + extra
        plans = task._plans(64, before)
        for first, _, between in plans:
            distance = task._birth + len(module.FORMS[first]) + between
            counts[before, distance][0] += 1 / len(plans)  # the first birth is asked about
            counts[before - distance, distance][1] += 1 / len(plans)
    guess = sum(map(max, counts.values())) / sum(map(sum, counts.values()))
    assert 0.5 < guess < 0.66


@both
def test_the_smallest_gap_is_the_smallest_above_which_none_is_missing(task):
    places = [task._birth + 3 + extra for extra in range(module.SPREAD)]
    assert not any(len(task._plans(task.min_gap - 1, before)) for before in places)
    for gap in range(task.min_gap, 200):
        assert all(len(task._plans(gap, before)) for before in places)


@both
def test_a_row_reads_as_described(task):
    person = r"(An?|a) (?P<kind>girl|boy) named " if task.pronoun else ""
    birth = re.compile(
        person + r"(?P<name>[A-Z]\w+) was born in (?P<country>[A-Z]\w+)"
        r"( in ((the (early |late )?(spring|summer|autumn|winter) of )?(19[5-9]\d|200\d)))? \."
    )
    language = {row["country"]: row["language"] for row in module.read_csv("countries.csv")}
    for gap in (task.min_gap, 21, 50):
        batch = task.batch("test", 0, gap, 0, SIZE)
        for row in range(SIZE):
            spans = task.render(batch, row)
            text = " ".join(span.text for span in spans)
            births = [match.groupdict() for match in birth.finditer(text)]
            assert len(births) == 2
            assert len({b["name"] for b in births}) == 2
            asked = re.fullmatch(r".* \. (\w+) grew up speaking", text)[1]
            key, asked = ("kind", {"She": "girl", "He": "boy"}[asked]) if task.pronoun else ("name", asked)
            assert len({b[key] for b in births}) == 2
            (mine,) = [b for b in births if b[key] == asked]
            assert spans[-1].answer == language[mine["country"]]
            assert [s.text for s in spans if s.role == Role.CUE] == [mine["country"]]
            (theirs,) = [b for b in births if b is not mine]
            decoy = " ".join(s.text for s in spans if s.role == Role.DECOY)
            assert birth.fullmatch(decoy)["country"] == theirs["country"]
