import numpy as np

from harness.registry import find_task


def test_echo_repeats_the_symbol_before_the_gap_at_every_query():
    task = find_task("gap-echo")
    for gap in (0, 1, 5, 15, 16, 40):
        batch = task.batch("train", 0, gap, 0, 40)
        symbols = batch.inputs % 8
        assert batch.queries.tolist() == list(range(gap + 1, gap + 17))
        for query, answers in zip(batch.queries, batch.targets, strict=True):
            assert (answers == symbols[query - gap - 1]).all()


def test_echo_tells_when_to_begin():
    task = find_task("gap-echo")
    for gap in (0, 5, 40):
        asked = task.batch("train", 0, gap, 0, 8).inputs >= 8
        assert not asked[: gap + 1].any()
        assert asked[gap + 1 :].all()


def test_echo_hears_every_symbol_equally_often():
    inputs = find_task("gap-echo").batch("train", 0, 20, 0, 8000).inputs % 8
    counts = np.stack([np.bincount(column, minlength=8) for column in inputs])
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(1000)
