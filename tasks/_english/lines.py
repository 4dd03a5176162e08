"""Templates: sentences of a probe with places for the words that are drawn, and what is drawn for them."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.streams import Ints, Stream
from harness.task import Role

from .pools import Part, portion
from .text import Fixed, Vocabulary, read_csv


def first_names() -> list[str]:
    """The names of girls and boys."""
    return [row["name"] for row in read_csv("names.csv") if row["gender"] in ("female", "male")]


def pick(stream: Stream, pool: Ints, part: Part, size: int) -> Ints:
    """Some of this part of a pool of numbers, each drawn by itself."""
    own = pool[portion(range(len(pool)), part)]
    return own[stream.integers(len(own), size)]


def fixed_words(*texts: str) -> set[str]:
    """The words of templates that are not drawn.

    >>> sorted(fixed_words("NAME saw the THINGS .", "in the"))
    ['.', 'in', 'saw', 'the']
    """
    return {word for text in texts for word in text.split() if not word.isupper()}


class Lines:
    """Templates of a sentence, each row to have one of them. Words in capitals are places.

    cue: the places whose words are the cue
    all: the numbers of the templates (n,)
    lengths: their tokens (n,)
    before: those of them before the cue, (n,); all where there is none
    """

    def __init__(self, vocabulary: Vocabulary, texts: Sequence[str], cue: Collection[str] = ()) -> None:
        lines = [text.split() for text in texts]
        self.cue = cue
        self.all = np.arange(len(lines))
        self.lengths = np.array([len(line) for line in lines])
        self._kept = np.arange(self.lengths.max()) < self.lengths[:, None]
        words = np.full(self._kept.shape, "", object)
        words[self._kept] = [word for line in lines for word in line]
        self._places = {word: words == word for line in lines for word in line if word.isupper()}
        self._words = np.full(words.shape, -1)
        for word in fixed_words(*texts):
            self._words[words == word] = vocabulary.number[word]
        no_cue = self._kept & ~np.isin(words, list(cue))
        self.before = np.cumprod(no_cue, axis=1).sum(axis=1)

    def fill(self, which: Ints, drawn: Mapping[str, Ints], role: ArrayLike = Role.PREFIX) -> Fixed:
        """Template number `which` (B,) of each row, with words (B,) for its places.

        role: one for all rows, or (B,); the cue is one in rows that are prefix
        """
        words = self._words[which]
        roles = np.broadcast_to(np.reshape(role, (-1, 1)), words.shape).astype(np.int8)
        for place, where in self._places.items():
            here = where[which]
            words = np.where(here, drawn[place][:, None], words)
            if place in self.cue:
                roles[here & (roles == Role.PREFIX)] = Role.CUE
        return Fixed(words, self._kept[which], roles)
