"""The measures themselves, on arrays: normalised accuracy, gap-AUC, and how sure a mean is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FEW = 5
"""With fewer repetitions than this there is no interval, only a range."""


def normalised(accuracy: ArrayLike, chance: ArrayLike) -> Floats:
    """Accuracy on a scale where 0 is chance and 1 is perfect.

    >>> normalised([0.125, 1.0], 0.125).tolist()
    [0.0, 1.0]
    """
    a, c = np.asarray(accuracy, dtype=float), np.asarray(chance, dtype=float)
    return np.asarray((a - c) / (1 - c))


def gap_auc(gaps: ArrayLike, accuracy: ArrayLike, chance: ArrayLike) -> Floats:
    """The area under normalised accuracy over log2(gap), divided by its width: 0 is chance, 1 is perfect.

    gaps (G,), all different; accuracy (..., G); chance broadcast against it; the areas (...). Gaps below 1
    have no logarithm and are left out. A single gap is its own area; without any it is NaN.

    >>> float(gap_auc([2, 4, 8], [1.0, 1.0, 0.125], 0.125))
    0.75
    """
    gap = np.asarray(gaps, dtype=float)
    order = [i for i in np.argsort(gap) if gap[i] >= 1]
    x, y = np.log2(gap[order]), normalised(accuracy, chance)[..., order]
    if len(x) < 2:
        return np.asarray(y.mean(-1) if len(x) else np.full(y.shape[:-1], np.nan))
    return np.asarray(((y[..., 1:] + y[..., :-1]) / 2 * np.diff(x)).sum(-1) / (x[-1] - x[0]))


def interval(values: ArrayLike, chance: ArrayLike) -> tuple[Floats, Floats]:
    """How sure the mean over repetitions is: values (..., n) to low and high (...).

    From five repetitions on the 95 % interval of Student's t, below that the range of the repetitions. Both
    are widened to hold the means that one repetition more would give, at `chance` or at 1, so that they are
    never of zero width when all agree; and they lie within [0, 1].
    """
    x = np.asarray(values, dtype=float)
    n = x.shape[-1]
    return interval_of(n, x.mean(-1), x.std(-1, ddof=1) if n > 1 else 0.0, x.min(-1), x.max(-1), chance)


def interval_of(
    n: ArrayLike, mean: ArrayLike, std: ArrayLike, least: ArrayLike, most: ArrayLike, chance: ArrayLike
) -> tuple[Floats, Floats]:
    """`interval` from what it needs of the repetitions: their number, mean, standard deviation and range."""
    from scipy.special import stdtrit

    n, mean, std, chance = (np.asarray(part, dtype=float) for part in (n, mean, std, chance))
    half = stdtrit(np.maximum(n - 1, 1), 0.975) * std / np.sqrt(np.maximum(n, 1))
    low = np.minimum(np.where(n < FEW, least, mean - half), (n * mean + chance) / (n + 1))
    high = np.maximum(np.where(n < FEW, most, mean + half), (n * mean + 1) / (n + 1))
    # A normalised mean may lie below 0, where the interval then begins.
    return np.clip(low, np.minimum(mean, 0), 1), np.clip(high, 0, 1)


def interval_name(repetitions: int) -> str:
    """What an interval over so many repetitions may be called.

    >>> interval_name(10), interval_name(2)
    ('95 % interval of 10', 'range of 2')
    """
    return f"95 % interval of {repetitions}" if repetitions >= FEW else f"range of {repetitions}"
