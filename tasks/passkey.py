"""A pass key hidden in text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Fixed, Lines, Part, Text, Vocabulary, compose, first_names, fixed_words, pick

DIGITS = tuple("0123456789")
LENGTH = 4

INTRODUCTIONS = (
    "the pass key is",
    "remember that the pass key is",
    "do not forget that the pass key is",
    "NAME told me that the pass key is",
    "please note that the pass key is",
    "NAME wrote that the pass key is",
)
ENDS = (".", "today .", "this week .", "from now on .")
"""What follows the digits, of every length from one on."""
QUESTION = "the pass key is"

SPREAD = 60
"""Places that the pass key may have, one for all rows of a batch."""

NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
"""Digits in words, which the filler does without."""


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names: (n,)
    digits: (10,)
    digit: (V,) which digit a word is, −1 for any other word
    """

    def __init__(self) -> None:
        fixed = fixed_words(*INTRODUCTIONS, *ENDS, QUESTION)
        super().__init__(fixed.union(DIGITS, first_names()), without=NUMBERS)
        self.names = self.numbers(first_names())
        self.digits = self.numbers(DIGITS)
        self.digit = np.full(len(self.words), -1)
        self.digit[self.digits] = np.arange(len(DIGITS))
        self.introductions = Lines(self, INTRODUCTIONS)
        self.ends = Lines(self, ENDS)
        self.question = self.numbers(QUESTION.split())


_vocabulary = cache(_Vocabulary)


@dataclass(frozen=True)
class PassKey(Text):
    """nl-passkey: four digits somewhere in a text, to be said again at its end.

        … Please note that the pass key is [4 7 1 9] this week . The oak creaked . <The pass key is 4 7 1>
        gap 10, answers 4 7 1 9

    The cue is all of the digits. They are asked one by one: the first after "is", each other one after the
    digit before it, which is given, as a language model meets them. Digits are drawn by themselves, so that
    those given tell nothing of the next. The gap is that of the first query, from the last digit.
    """

    name: ClassVar[str] = "nl-passkey"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "hold several words in order, amid text"
    source: ClassVar[str] = "Mohtashami & Jaggi 2023 (arXiv 2305.16300)"
    expected_failures: ClassVar[Mapping[str, str]] = {
        "mentions": "as published, no other number stands in the text: all of them are the key, in order",
    }

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only introductions and questions use."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The digits."""
        return Classes(DIGITS)

    @property
    def min_gap(self) -> int:
        """A full stop and the question's first words."""
        return 1 + len(QUESTION.split()) - 1

    def chance(self, gap: int) -> float:
        """One of ten digits."""
        return 1 / len(DIGITS)

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, the pass key introduced, filler, the question with all digits but the last."""
        v = _vocabulary()
        rests = gap - len(v.question) + 1 - v.ends.lengths
        ends = np.flatnonzero((rests == 0) | (rests >= 3))

        introduction = pick(stream, v.introductions.all, part, size)
        end = ends[stream.integers(len(ends), size)]
        drawn = {"NAME": pick(stream, v.names, part, size)}
        digits = np.stack([stream.balanced(len(DIGITS), size) for _ in range(LENGTH)])  # (4, B)
        key = v.digits[digits].T
        before = v.introductions.lengths.max() + 3 + int(layout.integers(SPREAD, 1)[0])
        inputs, roles = compose(
            stream,
            part,
            Blank(before - v.introductions.lengths[introduction]),
            v.introductions.fill(introduction, drawn),
            Fixed(key, role=Role.CUE),
            v.ends.fill(end, {}),
            Blank(rests[end]),
            Fixed(v.question, role=Role.QUESTION),
            Fixed(key[:, :-1], role=Role.QUESTION),
            without=v.without,
        )
        first = before + LENGTH + gap
        return Batch(inputs=inputs, targets=digits, queries=np.arange(first, first + LENGTH), roles=roles)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The first four digits of the row."""
        digits = _vocabulary().digit[batch.inputs]
        first = (digits >= 0).argmax(axis=0)
        return np.take_along_axis(digits, first + np.arange(LENGTH)[:, None], axis=0)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another digit, name or word of filler for one before the question; nothing for a fixed word."""
        v, word = _vocabulary(), batch.inputs[t, row]
        if batch.roles[t, row] == Role.QUESTION:
            return np.arange(0)
        own = next((group for group in (v.digits, v.names, v.filler) if word in group), np.arange(0))
        return own[own != word]
