"""gap-select, gap-order, gap-add: where the cues stand; what a constant is worth for a sum."""

from math import comb

import numpy as np
import pytest

from harness.registry import find_task
from harness.task import Role

WINDOW = 10


def cue_times(task, gap, size):
    """The times of each row's cues: (B, cues)."""
    roles = task.batch("train", 0, gap, 0, size).roles
    return np.nonzero(roles.T == Role.CUE)[1].reshape(size, -1)


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("gap-select", 3),
        ("gap-select[payload=10]", 10),
        ("gap-order", 2),
        ("gap-order[symbols=3]", 3),
        ("gap-add", 2),
    ],
)
def test_cues_stand_at_all_distinct_places_equally_often_and_the_last_at_the_end_of_the_window(text, cues):
    size = 20_000
    times = cue_times(find_task(text), 6, size)
    assert times.shape == (size, cues)  # with replacement there would be fewer in some rows
    assert (times[:, -1] == WINDOW - 1).all()
    counts = np.unique(times[:, :-1] @ (10 ** np.arange(cues - 1)), return_counts=True)[1]
    assert len(counts) == comb(WINDOW - 1, cues - 1)
    mean = size / len(counts)
    assert np.abs(counts - mean).max() <= 4 * np.sqrt(mean)


def test_the_first_symbol_of_an_order_is_as_much_farther_back_as_its_docstring_says():
    two, three = (cue_times(find_task(f"gap-order[symbols={n}]"), 5, 9000) for n in (2, 3))
    counts = np.bincount(two[:, 1] - two[:, 0])
    assert len(counts) == 10
    assert np.abs(counts[1:] - 1000).max() < 4 * np.sqrt(1000)
    assert set(three[:, 2] - three[:, 0]) == set(range(2, 10))


@pytest.mark.parametrize("symbols", [2, 3])
def test_no_symbol_of_an_order_tells_of_another(symbols):
    task = find_task(f"gap-order[symbols={symbols}]")
    batch = task.batch("train", 0, 4, 0, 8000)
    orders = np.array(task.output.names)[batch.targets[0]]
    rows = batch.inputs.T
    assert ["".join("XY"[token] for token in row if token < 2) for row in rows] == orders.tolist()
    assert (np.unique(orders, return_counts=True)[1] == 8000 // 2**symbols).all()


def test_more_symbols_than_the_window_has_places_are_refused():
    with pytest.raises(Exception, match="payload must be 1 to 10"):
        find_task("gap-select[payload=11]")


@pytest.mark.parametrize(
    ("text", "chance", "squared_error", "mean"),
    [("gap-add", 0.0784, 1 / 6, 1.0), ("gap-add[variant=hochreiter]", 0.1536, 1 / 24, 0.5)],
)
def test_what_the_best_constant_is_worth_for_a_sum(text, chance, squared_error, mean):
    """The distribution of the sum is exact on a grid of pairs of numbers; then a large sample agrees."""
    task = find_task(text)
    n = 2000
    numbers = (np.arange(n) + 0.5) / n
    low, width = task._range
    x, y = np.meshgrid(*[low + width * numbers] * 2)
    sums = np.sort(task._target(x, y).ravel())
    constants = np.linspace(sums[0], sums[-1], 401)
    right = [np.searchsorted(sums, c + 0.04) - np.searchsorted(sums, c - 0.04) for c in constants]
    assert constants[np.argmax(right)] == pytest.approx(mean, abs=0.01)
    assert max(right) / n**2 == pytest.approx(chance, abs=1e-3)
    assert ((sums - mean) ** 2).mean() == pytest.approx(squared_error, abs=1e-6)
    assert task.chance(7) == pytest.approx(chance, abs=1e-12)

    size = 100_000
    drawn = task.batch("train", 0, 7, 0, size).targets[0]
    share = (np.abs(drawn - mean) < task.output.tolerance).mean()
    assert share == pytest.approx(chance, abs=3.29 * np.sqrt(chance * (1 - chance) / size))
    assert ((drawn - mean) ** 2).mean() == pytest.approx(squared_error, rel=0.02)


@pytest.mark.parametrize("text", ["gap-add", "gap-add[variant=hochreiter]"])
def test_numbers_that_are_not_marked_do_not_go_along_with_the_sum(text):
    batch = find_task(text).batch("train", 0, 8, 0, 20_000)
    numbers, target = batch.inputs[..., 0], batch.targets[0]
    for column, roles in zip(numbers, batch.roles, strict=True):
        blind = roles != Role.CUE
        if blind.sum() > 2:
            r = np.corrcoef(column[blind], target[blind])[0, 1]
            assert abs(r) < 4 / np.sqrt(blind.sum())
    marks = np.where(batch.roles == Role.CUE, 1, np.where(batch.roles == Role.QUESTION, -1, 0))
    assert (batch.inputs[..., 1] == marks).all()
