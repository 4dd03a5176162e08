"""gap-bracket: what stands within the outer bracket is balanced, bounded, and does not tell its kind."""

import numpy as np
import pytest

from harness.registry import find_task

PAIRS = {f"({kind}": f"{kind})" for kind in "abcd"}


def closer(tokens):
    """What closes the bracket that these leave open, and how deep it was within it."""
    stack, deepest = [], 0
    for token in tokens:
        if token in PAIRS:
            stack.append(token)
            deepest = max(deepest, len(stack))
        elif token != "·":
            assert PAIRS[stack.pop()] == token
    (opener,) = stack
    return PAIRS[opener], deepest - 1


@pytest.mark.parametrize("depth", [1, 2, 3, 15])
@pytest.mark.parametrize("gap", [0, 1, 2, 3, 4, 7, 30, 101])
def test_the_filler_is_balanced_within_its_bound(depth, gap):
    task = find_task(f"gap-bracket[depth={depth}]")
    batch = task.batch("train", 0, gap, 0, 64)
    deepest = 0
    for row, answer in zip(batch.inputs.T, batch.targets[0], strict=True):
        tokens = [task.inputs.words[token] for token in row]
        assert tokens.pop() == "?"
        assert tokens.count("·") == gap % 2
        name, deep = closer(tokens)
        assert name == task.output.names[answer]
        deepest = max(deepest, deep)
    assert deepest <= min(depth, gap // 2)
    if depth <= 3:
        assert deepest == min(depth, gap // 2)


def test_the_kinds_of_inner_brackets_are_even_and_each_by_itself():
    batch = find_task("gap-bracket").batch("train", 0, 20, 0, 20_000)
    inner, outer = batch.inputs[1:-1], batch.targets[0]
    for column in inner:
        opens = column < 4
        if opens.sum() < 1000:
            continue
        counts = np.bincount(column[opens] * 4 + outer[opens], minlength=16)
        mean = opens.sum() / 16
        assert ((counts - mean) ** 2 / mean).sum() < 15 + 4 * np.sqrt(30)
    opens = inner < 4
    after = opens[:-1] & opens[1:]
    counts = np.bincount(inner[:-1][after] * 4 + inner[1:][after], minlength=16)
    assert np.abs(counts / counts.mean() - 1).max() < 0.05


@pytest.mark.parametrize(("gap", "low", "high"), [(6, 0.2, 0.3), (16, 0.75, 0.85), (64, 0.99, 1.0)])
def test_how_many_rows_are_as_deep_as_they_may(gap, low, high):
    inner = find_task("gap-bracket").batch("train", 0, gap, 0, 2000).inputs[1:-1]
    deepest = np.cumsum(np.where(inner < 4, 1, -1), axis=0).max(axis=0)
    assert low <= (deepest == 3).mean() <= high


def test_the_neutral_token_stands_anywhere():
    inputs = find_task("gap-bracket").batch("train", 0, 9, 0, 9000).inputs[1:-1]
    counts = (inputs == 8).sum(axis=1)
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(1000)


@pytest.mark.parametrize("depth", [0, 16])
def test_a_depth_that_cannot_be_is_refused(depth):
    with pytest.raises(Exception, match="depth must be 1 to 15"):
        find_task(f"gap-bracket[depth={depth}]")
