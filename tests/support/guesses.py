"""What a guesser may learn from what it sees, and whether its guesses are better than chance."""

from math import sqrt

import numpy as np


def at_chance(right, chance, z=3.29):
    """Whether a share of right answers lies in the interval around chance, by default of 99.9 %."""
    return abs(np.mean(right) - chance) <= z * sqrt(chance * (1 - chance) / np.size(right))


def naive_bayes(features, answers, size, classes):
    """The likeliest answer by counts, as a function of features (N, F) below `size`."""
    counts = np.ones((classes, features.shape[1], size))
    for column in range(features.shape[1]):
        np.add.at(counts, (answers, column, features[:, column]), 1)
    logs = np.log(counts / counts.sum(axis=2, keepdims=True))
    return lambda new: sum(logs[:, column, new[:, column]] for column in range(new.shape[1])).argmax(axis=0)
