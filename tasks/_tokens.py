"""What the probes share: alphabets, the roles of a row, what may stand for what."""

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints
from harness.task import Role

SYMBOLS = tuple("ABCDEFGH")
NOISE = tuple("pqrstuvw")
ASK = ("?",)


def laid_out(size: int, *spans: tuple[Role, int]) -> NDArray[np.int8]:
    """Roles (T, B) that are the same in all rows: so many tokens of each, one span after the other."""
    roles = np.empty((sum(length for _, length in spans), size), np.int8)
    end = 0
    for role, length in spans:
        roles[end : end + length] = role
        end += length
    return roles


def others(token: int, *alphabets: int) -> Ints:
    """The other tokens of the alphabet that has this one, the vocabulary being alphabets of these sizes.

    >>> others(3, 2, 4, 1), others(6, 2, 4, 1)
    (array([2, 4, 5]), array([], dtype=int64))
    """
    ends = np.cumsum(alphabets)
    which = int(np.searchsorted(ends, token, side="right"))
    alphabet = np.arange(ends[which] - alphabets[which], ends[which])
    return alphabet[alphabet != token]
