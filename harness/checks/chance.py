"""Whether a guess is better than chance, and what a guesser can learn from what it sees."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z = 3.09
"""One end of the 99.9 % interval. Only what is better than chance is a shortcut, hence one end."""


def limit(chance: float, n: int) -> float:
    """The share of n independent guesses up to which they are at chance.

    >>> round(limit(1 / 8, 10_000), 4)
    0.1352
    """
    return chance + Z * sqrt(chance * (1 - chance) / n)


def at_chance(right: NDArray[Any] | list[Any], chance: float, z: float = 3.29) -> bool:
    """Whether a share of right answers is in the interval around chance, by default the one of 99.9 %."""
    return bool(abs(np.mean(right) - chance) <= z * sqrt(chance * (1 - chance) / np.size(right)))


def naive_bayes(
    features: NDArray[Any], answers: NDArray[Any], size: int, classes: int
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The likeliest answer by counts, as a function of features (N, F) below `size`."""
    columns = features.shape[1]
    place = (answers[:, None] * columns + np.arange(columns)) * size + features
    counts = 1.0 + np.bincount(place.ravel(), minlength=classes * columns * size)
    counts = counts.reshape(classes, columns, size)
    logs = np.log(counts / counts.sum(axis=2, keepdims=True)).transpose(1, 2, 0)  # (F, size, classes)
    prior = np.log(1.0 + np.bincount(answers, minlength=classes))
    return lambda new: (prior + sum(logs[f, new[:, f]] for f in range(columns))).argmax(axis=1)
