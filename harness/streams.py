"""Random streams: the same key gives the same numbers on every machine and library version.

Only the raw output of NumPy's PCG64 is used, which NumPy keeps stable; how raw words become integers,
permutations and reals is written here, because NumPy's own distributions may change between releases.
"""

import hashlib
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Stream:
    """A stream of random numbers that is a pure function of its key.

    >>> Stream("gap-copy@1", "train", 0).integers(8, 6).tolist()
    [5, 6, 7, 6, 1, 7]
    """

    def __init__(self, *key: str | int) -> None:
        self._key = key

    @cached_property
    def _bits(self) -> np.random.PCG64:
        """Made when something is drawn: many a stream is offered and not needed."""
        digest = hashlib.sha256("\x1f".join(map(str, self._key)).encode()).digest()
        return np.random.PCG64(np.frombuffer(digest[:16], "<u4"))

    def _words(self, count: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(count), dtype="<u8")

    def integers(self, high: int, shape: int | tuple[int, ...]) -> Ints:
        """Integers in [0, high), high ≤ 2³²; the bias is below high / 2³²."""
        count = _count(shape)
        drawn = self._words((count + 1) // 2).view("<u4")[:count].astype(np.uint64)
        drawn *= np.uint64(high)  # in place: fresh memory costs more than the arithmetic
        drawn >>= np.uint64(32)
        return drawn.view(np.int64).reshape(shape)

    def uniform(self, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Reals in [0, 1) with 53 random bits."""
        count = _count(shape)
        return (self._words(count) >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53

    def permutations(self, rows: int, n: int) -> Ints:
        """`rows` independent permutations of range(n): (rows, n)."""
        return self._words(rows * n).reshape(rows, n).argsort(axis=1, kind="stable")

    def permutation(self, n: int) -> Ints:
        """One permutation of range(n)."""
        return self.permutations(1, n)[0]

    def choose(self, n: int, k: int, rows: int) -> Ints:
        """k distinct numbers of range(n) per row, in random order: (rows, k)."""
        if k > n:
            raise ValueError(f"cannot choose {k} distinct of {n}")
        return self.permutations(rows, n)[:, :k]

    def balanced(self, classes: int, shape: int | tuple[int, int]) -> Ints:
        """Class numbers in random order, whose counts differ by at most one in every row; extras at random.

        >>> np.bincount(Stream("doc").balanced(3, 8)).max()
        np.int64(3)
        """
        rows, size = (1, shape) if isinstance(shape, int) else shape
        extra = self.permutations(rows, classes)
        order = self.permutations(rows, size)
        drawn = order % classes
        whole = size - size % classes
        if whole < size:
            row, place = np.nonzero(order >= whole)
            drawn[row, place] = extra[row, drawn[row, place]]
        return drawn.reshape(shape)


def _count(shape: int | tuple[int, ...]) -> int:
    return shape if isinstance(shape, int) else prod(shape)
