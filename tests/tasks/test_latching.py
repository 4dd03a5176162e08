"""gap-latch, gap-flipflop, gap-parity: what is not the state that counts does not go along with it."""

import numpy as np
import pytest

from harness.checks.chance import at_chance
from harness.registry import find_task


@pytest.fixture(scope="module")
def flips():
    return find_task("gap-flipflop").batch("train", 0, 12, 0, 20_000)


def last(inputs, among):
    """The last token of each row that is one of these, as a bit; 0 where there is none."""
    here = np.isin(inputs, among)
    return np.take_along_axis(inputs, len(inputs) - 1 - here[::-1].argmax(axis=0)[None], axis=0)[0] % 2


def test_earlier_writes_and_ignored_bits_go_along_with_the_last_write_half_of_the_time(flips):
    before, bit = flips.inputs[:10], flips.targets[0]
    guesses = {
        "write before": last(before, [0, 1]),
        "first token": before[0] % 2,
        "most writes": np.where(before == 1, 1, np.where(before == 0, -1, 0)).sum(axis=0) > 0,
        "ignored last": last(flips.inputs, [2, 3]),
        "most ignored": (flips.inputs == 3).sum(axis=0) > (flips.inputs == 2).sum(axis=0),
    }
    for name, guess in guesses.items():
        assert at_chance(guess == bit, 1 / 2), name


def test_a_flip_flop_is_written_more_than_once_and_not_always(flips):
    writes = (flips.inputs[:10] < 2).mean()
    assert abs(writes - 1 / 2) < 0.01
    assert (flips.inputs[11:-1] >= 2).all()


@pytest.mark.parametrize("text", ["gap-parity", "gap-parity[additions=2]", "gap-parity[modulus=5]"])
def test_whoever_misses_one_of_the_numbers_knows_nothing_of_the_sum(text):
    task = find_task(text)
    n, k = task.additions, task.modulus
    batch = task.batch("train", 0, 3, 0, 20_000)
    numbers, answer = batch.inputs[:n], batch.targets[0]
    for missed in range(n):
        rest = np.delete(numbers, missed, axis=0)
        kinds = k ** np.arange(n - 1) @ rest
        counts = np.bincount(kinds * k + answer, minlength=k**n)  # of everything else, with the sum
        mean = 20_000 / k**n
        chi_squared = ((counts - mean) ** 2 / mean).sum()
        freedom = k**n - 1
        assert chi_squared < freedom + 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("options", ["additions=1", "modulus=1"])
def test_a_parity_without_state_is_refused(options):
    with pytest.raises(Exception, match="must be at least 2"):
        find_task(f"gap-parity[{options}]")
