"""nl-season: many words tell a season, and nothing but the name tells whose season counts."""

import re
import sys
from collections import Counter

import numpy as np
import pytest

from harness.checks.chance import at_chance, naive_bayes
from harness.registry import find_task
from harness.task import Role

TASK = find_task("nl-season")
module = sys.modules[type(TASK).__module__]
SIZE = 64

TOLD = {
    "spring": "spring March April May Easter",
    "summer": "summer June July August midsummer",
    "autumn": "autumn September October November Halloween",
    "winter": "winter December January February Christmas",
}
SEASON = {word: season for season, words in TOLD.items() for word in words.split()}
ANSWER = {
    "trees": dict(zip(TOLD, ("budding", "green", "golden", "bare"), strict=True)),
    "weather": dict(zip(TOLD, ("mild", "hot", "foggy", "freezing"), strict=True)),
    "villagers": dict(zip(TOLD, ("sowing", "swimming", "harvesting", "skiing"), strict=True)),
}
STATEMENT = re.compile(
    r"(?P<name>[A-Z]\w+) (?P<verb>arrived|left|returned|married|retired|emigrated) "
    r"(in the |in |at |one )(?P<time>" + "|".join(SEASON) + r")( (of |in )?(19[5-9]\d|200\d))? \."
)


def batches(gap, count, split="train"):
    return [TASK.batch(split, 0, gap, index, SIZE) for index in range(count)]


def told(batch):
    """The times and the seasons of the two persons of each row, in their order: (B, 2) each."""
    season = module._vocabulary().season[batch.inputs.T]
    return np.nonzero(season >= 0)[1].reshape(-1, 2), season[season >= 0].reshape(-1, 2)


@pytest.mark.parametrize("gap", [12, 13, 50])
def test_a_row_reads_as_described(gap):
    seen = Counter()
    for batch in batches(gap, 8, "test"):
        for row in range(SIZE):
            spans = TASK.render(batch, row)
            text = " ".join(span.text for span in spans)
            both = [match.groupdict() for match in STATEMENT.finditer(text)]
            assert len(both) == len({one["name"] for one in both}) == 2
            name, verb, kind = re.search(r"\. When (\w+) (\w+) , the (\w+) (?:was|were)$", text).groups()
            assert {one["verb"] for one in both} == {verb}
            (mine,) = [one for one in both if one["name"] == name]
            (theirs,) = [one for one in both if one["name"] != name]
            assert SEASON[mine["time"]] != SEASON[theirs["time"]]
            assert spans[-1].answer == ANSWER[kind][SEASON[mine["time"]]]
            assert [span.text for span in spans if span.role == Role.CUE] == [mine["time"]]
            decoy = " ".join(span.text for span in spans if span.role == Role.DECOY)
            assert STATEMENT.fullmatch(decoy)["time"] == theirs["time"]
            seen[mine["time"]] += 1
    assert set(seen) == set(SEASON)


@pytest.mark.parametrize("gap", [12, 14, 40])
def test_first_and_last_mentioned_season_are_right_half_of_the_time(gap):
    for batch in batches(gap, 20):
        _, seasons = told(batch)
        right = seasons == batch.targets.T % 4
        assert (right.sum(axis=0) == SIZE / 2).all()


def test_the_other_season_rules_out_one_and_tells_no_more():
    pairs = np.zeros((4, 4))
    for batch in batches(40, 100):
        answer = batch.targets[0] % 4
        _, seasons = told(batch)
        np.add.at(pairs, (answer, seasons.sum(axis=1) - answer), 1)
    assert (pairs.diagonal() == 0).all()
    off, expected = pairs[~np.eye(4, dtype=bool)], pairs.sum() / 12
    assert ((off - expected) ** 2 / expected).sum() < 31.3  # χ² with 11 degrees of freedom: 99.9 % are below
    assert TASK.chance(40) == pytest.approx(1 / 3)


def test_the_question_leaves_four_answers_and_tells_no_more():
    rows = [(batch.inputs[-2], batch.targets[0]) for batch in batches(20, 60)]
    for subject, kind in zip(("trees", "weather", "villagers"), range(3), strict=True):
        number = TASK.vocabulary.number[subject]
        answers = np.concatenate([targets[nouns == number] for nouns, targets in rows])
        assert set(answers // 4) == {kind}
        for season in range(4):
            assert at_chance(answers % 4 == season, 1 / 4)


def test_the_places_say_little_of_who_is_asked_about():
    """In texts this short the best guess from the places of the two seasons cannot be at chance."""

    def view(some):
        first = np.concatenate([told(batch)[0] for batch in some])
        asked = [batch.roles[told(batch)[0][:, 0], np.arange(SIZE)] == Role.CUE for batch in some]
        return np.stack([first[:, 0], first[:, 1]], axis=1), np.concatenate(asked).astype(int)

    (seen, asked), (new, answer) = view(batches(40, 300)), view(batches(40, 100, "test"))
    assert 0.45 < (naive_bayes(seen, asked, 200, 2)(new) == answer).mean() < 0.66
