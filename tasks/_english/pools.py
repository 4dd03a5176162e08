"""Which of its names, words and templates a split of a probe may use."""

from collections.abc import Sequence
from typing import Literal, TypeVar

Part = Literal["all", "training", "held out"]
"""All of a pool, what training shows of it, or the rest, which training never shows."""

T = TypeVar("T")


def portion(pool: Sequence[T], part: Part) -> list[T]:
    """A part of a pool: two in three are for training, the third is held out.

    >>> portion("abcdef", "training"), portion("abcdef", "held out")
    (['a', 'b', 'd', 'e'], ['c', 'f'])
    """
    return [one for at, one in enumerate(pool) if part == "all" or (at % 3 == 2) == (part == "held out")]
