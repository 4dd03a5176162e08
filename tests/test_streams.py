import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.streams import Stream

sizes = st.integers(0, 40)
keys = st.integers(0, 10**6)


def test_golden_values():
    """Pinned for ever: every sample ever drawn and every weight ever made hangs on these."""
    stream = Stream("golden", 1, "x")
    assert stream.integers(10, 8).tolist() == [9, 9, 0, 2, 6, 5, 5, 7]
    assert stream.integers(2**32, 3).tolist() == [2576805379, 247380307, 179030104]
    assert stream.uniform(3).tolist() == [0.8242545359059417, 0.20215546864169454, 0.43565351686924103]
    assert stream.permutations(2, 5).tolist() == [[4, 0, 3, 2, 1], [0, 3, 1, 2, 4]]
    assert stream.choose(9, 3, 2).tolist() == [[4, 3, 0], [7, 3, 1]]
    assert stream.balanced(4, 10).tolist() == [0, 1, 3, 2, 1, 2, 0, 3, 3, 0]


@given(st.integers(1, 2**32), sizes, keys)
def test_integers_are_the_high_bits_of_the_halves_of_raw_words(high, size, key):
    raw = Stream(key)._words((size + 1) // 2).tolist()
    halves = [half for word in raw for half in (word & 0xFFFFFFFF, word >> 32)][:size]
    integers = Stream(key).integers(high, size)
    assert integers.tolist() == [half * high >> 32 for half in halves]
    assert integers.dtype == np.int64


def test_a_stream_is_a_function_of_its_key_and_of_what_was_drawn():
    first, second = Stream("a", 1), Stream("a", 1)
    assert first.uniform(5).tolist() == second.uniform(5).tolist()
    assert first.uniform(5).tolist() == second.uniform(5).tolist()
    others = [Stream("a", 2), Stream("a"), Stream("a1"), Stream(1, "a"), Stream("a", 1, ""), Stream("b", 1)]
    draws = {tuple(stream.uniform(2).tolist()) for stream in [Stream("a", 1), *others]}
    assert len(draws) == 1 + len(others)


def test_neither_reads_nor_moves_the_global_generator():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = Stream("a").uniform(3).tolist()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert Stream("a").uniform(3).tolist() == first


@pytest.mark.parametrize("high", [2, 3, 7, 8, 19, 100])
def test_integers_are_unbiased(high):
    n = 200_000
    counts = np.bincount(Stream("unbiased", high).integers(high, n), minlength=high)
    assert len(counts) == high
    z = (counts - n / high) / np.sqrt(n / high * (1 - 1 / high))
    assert np.abs(z).max() < 4


def test_integers_next_to_each_other_are_independent():
    draws = Stream("pairs").integers(4, (50_000, 2))
    counts = np.bincount(draws @ [4, 1], minlength=16)
    assert np.abs(counts - 3125).max() < 4 * np.sqrt(3125)


def test_uniform_lies_in_the_unit_interval_evenly():
    draws = Stream("uniform").uniform((1000, 100))
    assert draws.shape == (1000, 100)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 5000).max() < 4 * np.sqrt(5000)


@given(st.integers(1, 8), st.integers(1, 30), keys)
def test_permutations_permute(rows, n, key):
    permutations = Stream(key).permutations(rows, n)
    assert permutations.shape == (rows, n)
    assert (np.sort(permutations, axis=1) == np.arange(n)).all()


def test_all_permutations_are_equally_likely():
    permutations = Stream("permutations").permutations(24_000, 4)
    counts = np.unique(permutations @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(1000)


@given(st.integers(1, 30), st.data(), keys)
def test_choose_gives_distinct_numbers(n, data, key):
    k = data.draw(st.integers(0, n))
    chosen = Stream(key).choose(n, k, 5)
    assert chosen.shape == (5, k)
    assert all(len(set(row)) == k and set(row) <= set(range(n)) for row in chosen.tolist())


def test_choose_favours_no_number_and_no_order():
    chosen = Stream("choose").choose(6, 2, 30_000)
    counts = np.bincount(chosen @ [6, 1], minlength=36).reshape(6, 6)
    assert (np.diag(counts) == 0).all()
    assert np.abs(counts[~np.eye(6, dtype=bool)] - 1000).max() < 4 * np.sqrt(1000)


def test_choose_cannot_give_more_than_there_are():
    with pytest.raises(ValueError, match="cannot choose 4 distinct of 3"):
        Stream(0).choose(3, 4, 1)


@given(st.integers(1, 20), sizes, keys)
def test_balanced_counts_differ_by_at_most_one(classes, size, key):
    drawn = Stream(key).balanced(classes, size)
    counts = np.bincount(drawn, minlength=classes)
    assert drawn.shape == (size,)
    assert len(counts) == classes
    assert counts.max() - counts.min() <= 1


def test_balanced_puts_its_extras_and_its_order_at_random():
    rows = np.stack([Stream("balanced", i).balanced(3, 4) for i in range(9000)])
    for position in range(4):
        counts = np.bincount(rows[:, position], minlength=3)
        assert np.abs(counts - 3000).max() < 4 * np.sqrt(3000 * 2 / 3)
    extras = [int(np.bincount(row, minlength=3).argmax()) for row in rows]
    assert np.abs(np.bincount(extras) - 3000).max() < 4 * np.sqrt(3000 * 2 / 3)


@given(st.integers(1, 8), st.integers(0, 5), sizes, keys)
def test_balanced_balances_every_row_by_itself(classes, rows, size, key):
    drawn = Stream(key).balanced(classes, (rows, size))
    assert drawn.shape == (rows, size)
    assert all(np.ptp(np.bincount(row, minlength=classes)) <= 1 for row in drawn)
    one = Stream(key).balanced(classes, (1, size))
    assert one.tolist() == [Stream(key).balanced(classes, size).tolist()]
