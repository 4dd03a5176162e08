"""nl-clouds: one word tells the answer, at any gap from one on."""

import re
import sys
from collections import Counter

import numpy as np
import pytest

from harness.registry import find_task
from harness.task import Role

TASK = find_task("nl-clouds")
module = sys.modules[type(TASK).__module__]
SIZE = 72
PLACE = {thing: place for place, things in module.PLACES.items() for thing in things.split()}
NEAR = {
    1: r".* \. [A-Z]\w+ saw the (\w+) in the",
    2: r".* \. The (\w+) were in the",
    3: r".* \. The (\w+) were seen in the",
    4: r".* \. [A-Z]\w+ looked for the (\w+) and found them in the",
}
LOOKED = r"(?:looked for|was looking for|went to look for|wanted to see|hoped to find|wished to see)"
FOUND = r"(?:(?P=name) found|(?P=name) soon found|At last (?P=name) found|In the end (?P=name) found)"
FAR = rf".* \. (?P<name>[A-Z]\w+) {LOOKED} the (\w+) \. (?:.*\. )?{FOUND} them in the"


@pytest.mark.parametrize("gap", [*range(1, 13), 60])
def test_a_row_reads_as_described(gap):
    batch = TASK.batch("test", 0, gap, 0, SIZE)
    for row in range(SIZE):
        spans = TASK.render(batch, row)
        found = re.fullmatch(NEAR.get(gap, FAR), " ".join(span.text for span in spans))
        thing = found.groups()[-1]
        assert spans[-1].answer == PLACE[thing]
        assert [span.text for span in spans if span.role == Role.CUE] == [thing]
        assert sum(span.text in PLACE for span in spans) == 1


def test_three_words_tell_each_place_as_often():
    assert len(PLACE) == 36
    assert set(Counter(PLACE.values()).values()) == {3}
    counts = Counter()
    for index in range(100):
        batch = TASK.batch("train", 0, 8, index, SIZE)
        counts.update(TASK.inputs.words[word] for word in batch.inputs[batch.roles == Role.CUE])
    assert set(counts) == set(PLACE)
    expected = 100 * SIZE / 36
    found = np.array([*counts.values()])
    assert (
        (found - expected) ** 2 / expected
    ).sum() < 66.7  # χ² with 35 degrees of freedom: 99.9 % are below


def test_the_question_is_another_in_another_batch():
    questions = set()
    for index in range(40):
        batch = TASK.batch("train", 0, 40, index, 2)
        questions.add(int((batch.roles[:, 0] == Role.QUESTION).sum()))
    assert questions == {5, 6, 7, 8}
