"""nl-passkey: digits are drawn by themselves, and the text around them reads as described."""

import re
from collections import Counter

import numpy as np
import pytest

from harness.checks.chance import at_chance, naive_bayes
from harness.registry import find_task
from harness.task import Role

TASK = find_task("nl-passkey")
SIZE = 64
ROW = re.compile(
    r".* \. (?P<introduction>[A-Z].*?)(?:t|T)he pass key is (?P<key>(?:\d ){4})"
    r"(?P<end>|today |this week |from now on )\. (?:.*\. )?The pass key is (?P<given>\d \d \d)"
)


@pytest.mark.parametrize("gap", [4, 5, 6, 7, 30])
def test_a_row_reads_as_described(gap):
    introductions, ends = Counter(), Counter()
    for index in range(3):
        batch = TASK.batch("test", 0, gap, index, SIZE)
        for row in range(SIZE):
            spans = TASK.render(batch, row)
            text = " ".join(span.text for span in spans)
            found = re.fullmatch(ROW.pattern.replace("[A-Z].*?", r"(?:[A-Z][a-z ]*?)?"), text)
            key = found["key"].split()
            assert [span.answer for span in spans if span.answer] == key
            assert [span.text for span in spans if span.role == Role.CUE] == key
            assert found["given"].split() == key[:-1]
            assert len(re.findall(r"\d", text)) == 7
            introductions[re.sub(r"^[A-Z]\w+ (told|wrote)", r"NAME \1", found["introduction"])] += 1
            ends[found["end"]] += 1
    assert len(introductions) == 6
    assert len(ends) == {4: 1, 5: 1, 6: 1, 7: 2}.get(gap, 4)


def test_the_digits_given_tell_nothing_of_the_next():
    seen, new = (
        np.concatenate([TASK.batch(split, 0, 9, index, SIZE).targets.T for index in range(200)])
        for split in ("train", "test")
    )
    for place in range(1, 4):
        guess = naive_bayes(seen[:, :place], seen[:, place], 10, 10)
        assert at_chance(guess(new[:, :place]) == new[:, place], 1 / 10)
        assert at_chance(new[:, place] == new[:, place - 1], 1 / 10)


def test_every_key_is_as_likely():
    keys = [TASK.batch("train", 0, 9, index, 100).targets for index in range(100)]
    pairs = Counter(tuple(pair) for key in keys for pair in key[:2].T.tolist())
    counts = np.array([pairs[a, b] for a in range(10) for b in range(10)])
    assert ((counts - 100) ** 2 / 100).sum() < 149  # χ² with 99 degrees of freedom: 99.9 % are below
