"""Brackets: what was opened last and not yet closed?"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role, Task, Tokens

from ._tokens import ASK, laid_out, others

OPENERS = ("(a", "(b", "(c", "(d")
CLOSERS = ("a)", "b)", "c)", "d)")
KINDS = len(OPENERS)
NEUTRAL = ("·",)
_NEUTRAL = 2 * KINDS
_ASK = _NEUTRAL + 1


@dataclass(frozen=True)
class Bracket(Task):
    """gap-bracket: an opener, g tokens of balanced brackets, and the question how to close it.

    The kinds of inner brackets are drawn by themselves and tell nothing of the outer one. An odd gap has one
    neutral token somewhere. The depth of a random balanced string grows with its length and would be a second
    difficulty beside the gap: so it is bounded, and part of the id. At small gaps not all rows get there: at
    a gap of 6 a quarter of them are three deep, at 16 four of five, at 64 all.

        cue  filler                question
        (b   (a (c c) a) · (d d)   ?         gap 7, answer b)

    depth: the deepest nesting within the outer bracket
    """

    name: ClassVar[str] = "gap-bracket"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "keep a stack"
    source: ClassVar[str] = "Hewitt et al. 2020, bounded hierarchical languages (arXiv 2010.07515)"

    depth: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= 15:  # two bits for each level in an integer of 32
            raise ValueError("depth must be 1 to 15")

    @property
    def inputs(self) -> Tokens:
        """Openers, their closers, the neutral token, the question."""
        return Tokens(OPENERS + CLOSERS + NEUTRAL + ASK)

    @property
    def output(self) -> Classes:
        """The closers."""
        return Classes(CLOSERS)

    def chance(self, gap: int) -> float:
        """One of four kinds."""
        return 1 / KINDS

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Opener, balanced filler, question."""
        kind = stream.balanced(KINDS, (1, size))
        filler = self._balanced(stream, gap // 2, size)
        inputs = np.full((1 + gap + 1, size), _ASK)
        inputs[:1], inputs[1 : 1 + len(filler)] = kind, filler
        if gap % 2:
            place = stream.integers(gap, size)
            np.copyto(inputs[2:-1], filler, where=np.arange(gap - 1)[:, None] >= place)
            inputs[1 + place, np.arange(size)] = _NEUTRAL
        return Batch(
            inputs=inputs,
            targets=kind,
            queries=np.array([1 + gap]),
            roles=laid_out(size, (Role.CUE, 1), (Role.FILLER, gap), (Role.QUESTION, 1)),
        )

    def _balanced(self, stream: Stream, pairs: int, size: int) -> NDArray[np.int32]:
        """Balanced strings of so many pairs: (2 pairs, B).

        The depth is a random walk, reflected at 0 and at the bound, and brought down to 0 at the end. Each
        level has a kind of its own, in two bits of an integer; an opener changes that of its level at random,
        its closer finds it as it was left.
        """
        drawn = stream.integers(2 * KINDS, (2 * pairs, size)).astype(np.int32)  # small enough for the cache
        walk = np.cumsum(2 * (drawn & 1) - 1, axis=0, dtype=np.int32) + self.depth
        walk -= walk // (2 * self.depth) * (2 * self.depth)  # what % gives, which is slower
        depth = np.minimum(np.abs(walk - self.depth), np.arange(2 * pairs, dtype=np.int32)[::-1, None])
        opens = np.ones(depth.shape, np.bool_)  # the first token does
        opens[1:] = depth[1:] > depth[:-1]
        shift = 2 * (depth - opens)
        changes = (drawn >> 1 << shift) * opens
        kinds = np.bitwise_xor.accumulate(changes, axis=0) >> shift & (KINDS - 1)
        return np.where(opens, kinds, kinds + KINDS)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The kind of the last opener that reached the depth at which the row ends."""
        inputs = batch.inputs[: batch.queries[0]]
        opens = inputs < KINDS
        depth = np.cumsum(opens.astype(np.int64) - ((inputs >= KINDS) & (inputs < _NEUTRAL)), axis=0)
        last = len(inputs) - 1 - (opens & (depth == depth[-1]))[::-1].argmax(axis=0)
        return np.take_along_axis(inputs, last[None], axis=0)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Brackets of the same side: which one is still open does not depend on the kinds of the others."""
        return others(batch.inputs[t, row], KINDS, KINDS, 1, 1)
