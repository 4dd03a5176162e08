"""Boxes: keep track of what is where, while it is moved."""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Lines, Part, Text, Vocabulary, compose, first_names, fixed_words, pick

BOXES = ("hatbox", "lunchbox", "shoebox")
OBJECTS = ("badge", "bead", "cork", "locket", "medal", "nail", "pebble", "shell")

PUT = (  # all of one length, with the object at the same place
    "NAME put the OBJECT in the BOX .",
    "NAME laid the OBJECT in the BOX .",
    "NAME hid the OBJECT in the BOX .",
    "NAME placed the OBJECT in the BOX .",
    "NAME left the OBJECT in the BOX .",
    "NAME locked the OBJECT in the BOX .",
)
SWAPPED = (  # likewise
    "NAME swapped the contents of the ONE and the OTHER .",
    "NAME exchanged the contents of the ONE and the OTHER .",
    "NAME switched the contents of the ONE and the OTHER .",
)
QUESTIONS = (  # of every length from the shortest to three tokens more
    "now the BOX held the",
    "at last the BOX held the",
    "then NAME opened the BOX and found the",
    "at last NAME opened the BOX and found the",
    "NAME opened the BOX and found the",
    "in the end the BOX held the",
)
APART = 3
"""Tokens from the one box of a swap to the other."""

SPREAD = 30
"""Places that the first sentence may have, one for all rows of a batch."""


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names, boxes, objects: (n,)
    box, object: (V,) which one a word is, −1 for any other word
    """

    def __init__(self) -> None:
        fixed = fixed_words(*PUT, *SWAPPED, *QUESTIONS)
        super().__init__(fixed.union(BOXES, OBJECTS, first_names()), without=["box", "toolbox"])
        self.names, self.boxes, self.objects = map(self.numbers, (first_names(), BOXES, OBJECTS))
        self.box, self.object = np.full((2, len(self.words)), -1)
        self.box[self.boxes] = np.arange(len(BOXES))
        self.object[self.objects] = np.arange(len(OBJECTS))
        self.put = Lines(self, PUT, cue=["OBJECT"])
        self.swapped = Lines(self, SWAPPED, cue=["ONE", "OTHER"])
        self.questions = Lines(self, QUESTIONS)


_vocabulary = cache(_Vocabulary)


@dataclass(frozen=True)
class Boxes(Text):
    """nl-boxes: three things are put into three boxes, contents are swapped: what is in this box now?

        … Anna put the [medal] in the hatbox . {Hugo hid the cork in the shoebox .}
        {Leo left the nail in the lunchbox .} Nora swapped the contents of the [hatbox] and the [shoebox] .
        We slept . <Now the shoebox held the>
        gap 8, answer medal

    The last swap is of the box asked about, and its second box is g tokens before the query; swaps before it
    are of any two. Whoever names the first or the last thing mentioned, or any of the three, is right in 1/3
    of the rows. Whoever heeds no swap is never right with one swap, and in 1/3 of the rows with more: then
    what is asked for began in each of the boxes equally often, and nothing but following every swap helps.
    The cue is the thing, and both boxes of each swap that moved it. A box in the sentence that fills it, or
    in a swap that did not move the thing, has no other that could stand there and leave the row its sense.

    swaps: how many
    unchanged: the control: all swaps are of the other two boxes, and all there is to remember is what was put
        into the box asked about. Its thing is the cue, g tokens before the query
    """

    name: ClassVar[str] = "nl-boxes"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "track a state through changes"
    source: ClassVar[str] = (
        "Kim & Schuster 2023, entity tracking (arXiv 2305.02363); Srivastava et al. 2022, tracking shuffled "
        "objects (arXiv 2206.04615)"
    )

    swaps: int = 1
    unchanged: bool = False

    def __post_init__(self) -> None:
        if self.swaps < 1:
            raise ValueError("swaps must be at least 1")

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only the probe uses."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The things."""
        return Classes(OBJECTS)

    @property
    def min_gap(self) -> int:
        """Full stop and shortest question; with `unchanged`, all that may follow the thing asked for too."""
        return int(self._after(np.arange(len(BOXES))).max() + _vocabulary().questions.lengths.min() - 1)

    def _after(self, asked: Ints) -> Ints:
        """Tokens of the story after the last cue, the box asked about being filled as number 0, 1 or 2."""
        v = _vocabulary()
        if not self.unchanged:
            return np.ones_like(asked)
        put, swapped = v.put.lengths[0], v.swapped.lengths[0]
        return (len(BOXES) - asked) * put - v.put.before[0] - 1 + self.swaps * swapped

    def chance(self, gap: int) -> float:
        """One of eight things, but for the two in the other boxes."""
        return 1 / (len(OBJECTS) - len(BOXES) + 1)

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, three things put somewhere, swaps, filler, the question; the last cue at one place."""
        v, rows, n = _vocabulary(), np.arange(size), len(BOXES)
        # Boxes go by their number in the order of being filled; every swap leaves one of the three alone.
        where = origin = stream.balanced(n, size)  # of the thing asked for, now and at first
        pairs, moved = [], []
        for to_come in reversed(range(self.swaps)):
            alone = stream.integers(n, size) if to_come else (where + 1 + stream.integers(n - 1, size)) % n
            alone = origin if self.unchanged else alone
            turn = stream.integers(2, size)
            pairs.append(((alone + 1 + turn) % n, (alone + 2 - turn) % n))
            moved.append(alone != where)
            where = np.where(alone == where, where, n - alone - where)
        asked = where

        answer = stream.balanced(len(OBJECTS), size)
        rest = 1 + stream.choose(len(OBJECTS) - 1, n - 1, size).T
        things = (answer + np.concatenate([np.zeros((1, size), np.int64), rest])) % len(OBJECTS)
        things = v.objects[things[(np.arange(n)[:, None] - origin) % n, rows]]  # (boxes, B)
        boxes = v.boxes[stream.permutations(size, n).T]

        def named() -> dict[str, Ints]:
            return {"NAME": pick(stream, v.names, part, size)}

        puts = [
            v.put.fill(
                pick(stream, v.put.all, part, size),
                named() | {"OBJECT": things[number], "BOX": boxes[number]},
                np.where(origin == number, Role.PREFIX, Role.DECOY),
            )
            for number in range(n)
        ]
        swaps = [
            v.swapped.fill(
                pick(stream, v.swapped.all, part, size),
                named() | {"ONE": boxes[one, rows], "OTHER": boxes[other, rows]},
                np.where(which, Role.PREFIX, Role.DECOY),
            )
            for (one, other), which in zip(pairs, moved, strict=True)
        ]
        after, possible = self._after(asked), self._after(np.arange(n))
        rests = gap - possible.max() - v.questions.lengths + 1
        fits = np.flatnonzero((rests == 0) | (rests >= 3))
        question = int(fits[layout.integers(len(fits), 1)[0]])
        lead = 3 + int(layout.integers(SPREAD, 1)[0]) + after - possible.min()
        inputs, roles = compose(
            stream,
            part,
            Blank(lead),
            *puts,
            *swaps,
            Blank(rests[question] + possible.max() - after),
            v.questions.fill(np.full(size, question), named() | {"BOX": boxes[asked, rows]}, Role.QUESTION),
            without=v.without,
        )
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([len(inputs) - 1]), roles=roles)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """Fill the boxes, swap, and look."""
        v, text = _vocabulary(), batch.inputs.T
        rows, n = np.arange(len(text)), len(BOXES)
        boxes = v.box[text]
        boxes = boxes[boxes >= 0].reshape(len(text), -1).T  # those filled, those swapped, the one asked about
        things = v.object[text]
        content = np.zeros((n, len(text)), np.int64)
        content[boxes[:n], rows] = things[things >= 0].reshape(len(text), n).T
        for one, other in boxes[n:-1].reshape(self.swaps, 2, -1):
            content[one, rows], content[other, rows] = content[other, rows], content[one, rows]
        return content[boxes[-1], rows][None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """A thing that the row does not have, another name, other filler; for a box of a swap that moved what
        is asked for, the third box. Nothing for the words that hold the story together.
        """
        v, words = _vocabulary(), batch.inputs[:, row]
        word, role = words[t], batch.roles[t, row]
        if role == Role.QUESTION:
            return np.arange(0)
        if v.object[word] >= 0:
            return v.objects[~np.isin(v.objects, words)]
        if v.box[word] >= 0:
            pair = words[[t - APART, t, t + APART]]
            return v.boxes[~np.isin(v.boxes, pair)] if role == Role.CUE else np.arange(0)
        own = next((group for group in (v.names, v.filler) if word in group), np.arange(0))
        return own[own != word]
