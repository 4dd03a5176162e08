"""Which cells the data can tell apart: a studentised max-|t| bootstrap on paired differences.

Two cells of a repetition saw the same data, so they are compared in pairs, on the repetitions that both have.
The t of a pair is its mean difference over its standard error. How large the largest |t| of a board gets
where no two cells differ is found by resampling repetitions, those of each task by themselves, and computing
each t anew with the error of its resample. Only what is beyond 95 % of these is told apart: of boards of
equal cells one in twenty has a pair that is falsely separated, however many pairs there are.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.measures import FEW, Floats

RESAMPLES = 1000
LEVEL = 0.95
_BLOCK = 256
"""Pairs resampled at once, so that they stay within the cache."""
_AT_ONCE = 100
"""Resamples in one product: so small that BLAS does not divide it among threads, which would take longer."""


class Compared(NamedTuple):
    """The pairs of a board, each way: row minus column."""

    difference: Floats
    """(..., C, C) of scores, on what both have; NaN where that are fewer than five repetitions."""
    error: Floats
    """(..., C, C) standard error of the difference."""
    critical: Floats
    """(...) the |t| beyond which two cells differ; infinite where there is no pair."""

    @property
    def better(self) -> NDArray[np.bool_]:
        """(..., C, C) whether row is better than column, as far as the data can tell."""
        with np.errstate(invalid="ignore"):  # infinity times nothing: not told apart
            return np.asarray(self.difference > self.critical[..., None, None] * self.error)


def compare(areas: ArrayLike, random: np.random.Generator) -> Compared:
    """Compare every cell with every other one.

    areas: (..., C, T, R) gap-AUC of cells on tasks by repetition, NaN where a repetition is not there;
    leading axes are boards, each for itself
    """
    x = np.asarray(areas, dtype=float)
    *boards, cells, tasks, repetitions = x.shape
    x = x.reshape(int(np.prod(boards)), cells, tasks, repetitions)
    i, j = np.triu_indices(cells, 1)
    pairs = (x[:, i] - x[:, j]).reshape(len(x) * len(i), tasks, repetitions)
    board = np.repeat(np.arange(len(x)), len(i))
    draws = random.random((RESAMPLES, tasks, repetitions), dtype=np.float32)
    difference, error = np.full((2, len(pairs)), np.nan)
    largest = np.full((RESAMPLES, len(x)), -np.inf, dtype=np.float32)
    for rows, both in _alike(np.isfinite(pairs).all(1)):
        there = pairs[rows][..., both]
        difference[rows] = there.mean((1, 2))
        error[rows] = np.sqrt(_variances(there).sum(1)) / tasks
        shares = _shares(draws[:, :, : len(both)])
        for block in np.array_split(np.arange(len(rows)), -(-len(rows) // _BLOCK)):
            t = _resampled(there[block], shares)
            first = np.flatnonzero(np.diff(board[rows[block]], prepend=-1))
            at = board[rows[block][first]]
            largest[:, at] = np.maximum(largest[:, at], np.maximum.reduceat(t, first, axis=1))
    critical = np.quantile(largest, LEVEL, axis=0, method="higher").astype(float)
    return Compared(
        _each_way(difference, i, j, boards, cells, -1),
        _each_way(error, i, j, boards, cells, 1),
        np.where(np.isneginf(critical), np.inf, critical).reshape(boards),
    )


def compare_tasks(differences: ArrayLike, random: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Two cells on each task: mean differences and standard errors (T,), and the critical |t| of all.

    differences: (T, R) of the gap-AUC, NaN where a repetition is not there; tasks with under five are NaN
    """
    d = np.asarray(differences, dtype=float)
    mean, error = np.full((2, len(d)), np.nan)
    largest = np.full(RESAMPLES, -np.inf)
    for row, values in enumerate(d):
        there = values[np.isfinite(values)]
        if len(there) < FEW:
            continue
        mean[row], error[row] = there.mean(), np.sqrt(_variances(there))
        shares = _shares(random.random((RESAMPLES, 1, len(there)), dtype=np.float32))
        largest = np.maximum(largest, _resampled(there[None, None], shares)[:, 0])
    critical = float(np.quantile(largest, LEVEL, method="higher"))
    return mean, error, np.inf if np.isneginf(critical) else critical


def rank_ranges(better: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best and the worst rank (C,) that each cell may have.

    better: (C, C) whether row is better than column

    >>> best, worst = rank_ranges(np.array([[False, False, True], [False, False, False], [False] * 3]))
    >>> best.tolist(), worst.tolist()
    ([1, 1, 2], [2, 3, 3])
    """
    return 1 + better.sum(0), len(better) - better.sum(1)


def tie_groups(better: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of each cell's tie group (C,), from 1 in the order of the cells.

    A group are cells that chains of ties hold together: any two cells of different groups are told apart.
    better: (C, C) as for `rank_ranges`

    >>> tie_groups(np.array([[False, False, True], [False, False, True], [False] * 3])).tolist()
    [1, 1, 2]
    """
    tied = ~(better | better.T)
    groups = np.zeros(len(better), dtype=np.int64)
    for cell in range(len(better)):
        if groups[cell] == 0:
            members = np.arange(len(better)) == cell
            while (grown := tied[members].any(0)).sum() > members.sum():
                members = grown
            groups[members] = groups.max() + 1
    return groups


def _alike(both: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The pairs that share the same repetitions, and these; those that share too few are left out.

    both: (P, R)
    """
    patterns, of = np.unique(both, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.sum() >= FEW:
            yield np.flatnonzero(of.ravel() == number), np.flatnonzero(pattern)


def _variances(values: Floats) -> Floats:
    """The variance of the mean over the last axis."""
    return np.asarray(values.var(-1, ddof=1) / values.shape[-1])


def _shares(draws: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share (T, S, n) of each repetition in each resample.

    draws: (S, T, n) uniform in [0, 1)
    """
    n = draws.shape[2]
    drawn = (draws.swapaxes(0, 1) * n).astype(np.int8 if n < 128 else np.intp)  # (T, S, n)
    counts = [(drawn == repetition).sum(2, dtype=np.float32) for repetition in range(n)]
    return np.asarray(np.stack(counts, axis=2) / n, dtype=np.float32)


def _resampled(differences: Floats, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """|t| (S, P) of each resample around the mean of the data.

    differences: (P, T, n); shares: (T, S, n)

    A resample of few distinct values can have next to no variance, and its t explodes. Its error is taken to
    be no smaller than one normal sample in a hundred would have it.
    """
    from scipy.special import chdtri

    n = differences.shape[-1]
    variances = _variances(differences)
    whole = variances.sum(1)
    with np.errstate(invalid="ignore"):
        freedom = np.where(whole > 0, whole**2 / (variances**2 / (n - 1)).sum(1), 1)
    floor = ((n - 1) * whole * chdtri(freedom, 0.99) / freedom).astype(np.float32)
    centred = (differences - differences.mean(-1, keepdims=True)).astype(np.float32)
    mean = np.zeros((len(shares[0]) // _AT_ONCE, _AT_ONCE, len(differences)), dtype=np.float32)
    variance = np.zeros_like(mean)
    for task, share in enumerate(shares.reshape(len(shares), -1, _AT_ONCE, n)):
        m = share @ centred[:, task].T
        mean += m
        variance += share @ np.square(centred[:, task]).T
        variance -= np.square(m, out=m)
    error = np.sqrt(np.maximum(variance, floor, out=variance), out=variance)
    np.abs(mean, out=mean)
    t = np.divide(mean, error, out=mean, where=error > 0) * np.float32(np.sqrt(n - 1))
    return np.asarray(t.reshape(len(shares[0]), -1))


def _each_way(
    values: Floats, i: NDArray[np.intp], j: NDArray[np.intp], boards: list[int], cells: int, sign: int
) -> Floats:
    """Values of pairs as a matrix for each board: as they are above the diagonal, times `sign` below."""
    whole = np.zeros((int(np.prod(boards)), cells, cells))
    whole[:, i, j] = values.reshape(len(whole), -1)
    whole[:, j, i] = sign * whole[:, i, j]
    return whole.reshape(*boards, cells, cells)
