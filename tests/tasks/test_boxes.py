"""nl-boxes: the swaps have to be followed, each of them, and no thing is favoured by its place."""

import re

import numpy as np
import pytest

from harness.checks.chance import at_chance
from harness.registry import find_task
from harness.task import Role

MOVED, TWICE, UNCHANGED = TASKS = [
    find_task(f"nl-boxes{options}") for options in ("", "[swaps=2]", "[swaps=2,unchanged=true]")
]
SIZE = 66

every_variant = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)

PUT = re.compile(r"[A-Z]\w+ (?:put|laid|hid|placed|left|locked) the (\w+) in the (\w+box) \.")
SWAP = re.compile(r"[A-Z]\w+ (?:swapped|exchanged|switched) the contents of the (\w+box) and the (\w+box) \.")
HELD = r"(?:Now|At last|In the end) the (\w+box) held"
FOUND = r"(?:At last |Then )?[A-Z]\w+ opened the (\w+box) and found"


def stories(task, gap, split="train", count=8):
    """What was put where, the swaps, the box asked about, the answer and the cue, of each row."""
    for index in range(count):
        batch = task.batch(split, 0, gap, index, SIZE)
        for row in range(SIZE):
            spans = task.render(batch, row)
            text = " ".join(span.text for span in spans)
            puts, swaps = PUT.findall(text), SWAP.findall(text)
            (asked,) = filter(None, re.search(rf"\. (?:{HELD}|{FOUND}) the$", text).groups())
            cue = [span.text for span in spans if span.role == Role.CUE]
            assert text.index(puts[-1][1]) < text.index("contents")
            yield puts, swaps, asked, spans[-1].answer, cue


def swapped(puts, swaps):
    content = {box: thing for thing, box in puts}
    for one, other in swaps:
        content[one], content[other] = content[other], content[one]
    return content


@every_variant
@pytest.mark.parametrize("extra", [0, 1, 30])
def test_a_row_reads_as_described(task, extra):
    for puts, swaps, asked, answer, cue in stories(task, task.min_gap + extra, "test", 2):
        assert len({thing for thing, _ in puts}) == len({box for _, box in puts}) == 3
        assert len(swaps) == task.swaps
        assert all(one != other for one, other in swaps)
        assert swapped(puts, swaps)[asked] == answer
        if task is UNCHANGED:
            assert cue == [answer]
            assert not any(asked in swap for swap in swaps)
        else:
            assert asked in swaps[-1]
            (before,) = set(swaps[-1]) - {asked}
            earlier = [box for swap in swaps[:-1] if before in swap for box in swap]
            assert cue == [answer, *earlier, *swaps[-1]]


@every_variant
def test_no_place_is_favoured(task):
    """First, second and last thing mentioned: each is right in a third of every batch."""
    rows = list(stories(task, task.min_gap + 10))
    places = [[thing for thing, _ in puts].index(answer) for puts, _, _, answer, _ in rows]
    for batch in np.array(places).reshape(-1, SIZE):
        assert np.bincount(batch, minlength=3).tolist() == [SIZE / 3] * 3


def test_whoever_misses_a_swap_is_not_right_more_often_than_any_guess_among_the_three():
    rows = list(stories(TWICE, 12))
    for kept in ([], [1]):
        right = [swapped(p, [s[k] for k in kept])[asked] == answer for p, s, asked, answer, _ in rows]
        assert at_chance(right, 1 / 3)
    assert not any(swapped(p, s[:1])[asked] == answer for p, s, asked, answer, _ in rows)
    assert not any(swapped(p, [])[asked] == answer for p, _, asked, answer, _ in stories(MOVED, 12))
    assert all(swapped(p, [])[asked] == answer for p, _, asked, answer, _ in stories(UNCHANGED, 60, count=1))


def test_the_asked_box_is_any_of_the_three_in_either_place_of_the_swap_with_either_of_the_others():
    rows = list(stories(MOVED, 12))
    order = [[box for _, box in puts].index(asked) for puts, _, asked, _, _ in rows]
    origin = [[thing for thing, _ in puts].index(answer) for puts, _, _, answer, _ in rows]
    assert at_chance([asked == swaps[-1][0] for _, swaps, asked, _, _ in rows], 1 / 2)
    for place in range(3):
        asked = np.array(order) == place
        assert at_chance(asked, 1 / 3)
        assert at_chance(np.array(origin)[asked] == (place + 1) % 3, 1 / 2)


@every_variant
def test_the_other_things_rule_two_out_and_tell_no_more(task):
    pairs = np.zeros((8, 8))
    for puts, _, _, answer, _ in stories(task, task.min_gap + 10, count=12):
        for thing, _ in puts:
            if thing != answer:
                pairs[task.output.names.index(answer), task.output.names.index(thing)] += 1
    assert (pairs.diagonal() == 0).all()
    off, expected = pairs[~np.eye(8, dtype=bool)], pairs.sum() / 56
    assert ((off - expected) ** 2 / expected).sum() < 93.2  # χ² with 55 degrees of freedom: 99.9 % are below
    assert task.chance(task.min_gap) == pytest.approx(1 / 6)


def test_the_layout_does_not_hang_on_which_boxes_a_small_batch_asks_about():
    for index in range(10):
        lengths = {UNCHANGED.batch("train", rep, 60, index, 1).inputs.shape for rep in range(5)}
        assert len(lengths) == 1
