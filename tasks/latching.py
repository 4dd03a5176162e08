"""Latching: keep one small state, whatever comes after it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role, Task, Tokens

from ._tokens import ASK, NOISE, laid_out, others

BITS = ("0", "1")
EARLIER = 10
"""Instructions of gap-flipflop before the last write."""


@dataclass(frozen=True)
class Latch(Task):
    """gap-latch: one bit, g noise tokens, then the trigger that asks for the bit.

    The smallest memory there is. Easy variants of it are solved by a few dozen guesses of random weights, so
    that solving it proves little; failing it, much.

        cue  filler     question
        1    p w q p t  ?             gap 5, answer 1
    """

    name: ClassVar[str] = "gap-latch"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "hold one bit"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, experiment 2c; Bengio et al. 1994"

    @property
    def inputs(self) -> Tokens:
        """The bits, the noise, the trigger."""
        return Tokens(BITS + NOISE + ASK)

    @property
    def output(self) -> Classes:
        """The bit."""
        return Classes(BITS)

    def chance(self, gap: int) -> float:
        """One of two."""
        return 1 / 2

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Bit, noise and trigger, in this order."""
        bit = stream.balanced(2, (1, size))
        noise = 2 + stream.integers(len(NOISE), (gap, size))
        trigger = np.full((1, size), 2 + len(NOISE))
        return Batch(
            inputs=np.concatenate([bit, noise, trigger]),
            targets=bit,
            queries=np.array([1 + gap]),
            roles=laid_out(size, (Role.CUE, 1), (Role.FILLER, gap), (Role.QUESTION, 1)),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """Whether the row has a 1."""
        return (batch.inputs == 1).any(axis=0, keepdims=True).astype(np.int64)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """The other bit for a bit, other noise for noise, nothing for the trigger."""
        return others(batch.inputs[t, row], 2, len(NOISE), 1)


@dataclass(frozen=True)
class FlipFlop(Task):
    """gap-flipflop: writes and ignores, each with a bit, and a read: which bit was written last?

    An instruction and its bit are one token: w1 writes 1, i1 is to be ignored. Ten instructions of either
    kind come first, then the write that counts, then g ignores. All bits are drawn by themselves, so that
    neither earlier writes nor ignored bits tell anything. The one read is at the end; in the paper there are
    reads all along, each with a gap of its own.

        prefix                         cue  filler          question
        w0 i1 i1 w1 w0 i0 w1 i0 i0 w1  w0   i1 i0 i1 i1 i0  r         gap 5, answer 0
    """

    name: ClassVar[str] = "gap-flipflop"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "hold a bit, replace it when told to, and only then"
    source: ClassVar[str] = "Liu et al. 2023, flip-flop language modeling (arXiv 2306.00946)"

    @property
    def inputs(self) -> Tokens:
        """Two writes, two ignores, the read."""
        return Tokens(("w0", "w1", "i0", "i1", "r"))

    @property
    def output(self) -> Classes:
        """The bit written last."""
        return Classes(BITS)

    def chance(self, gap: int) -> float:
        """One of two."""
        return 1 / 2

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Any instructions, a write, ignores, the read."""
        earlier = stream.integers(4, (EARLIER, size))
        bit = stream.balanced(2, (1, size))
        ignored = 2 + stream.integers(2, (gap, size))
        roles = laid_out(size, (Role.PREFIX, EARLIER), (Role.CUE, 1), (Role.FILLER, gap), (Role.QUESTION, 1))
        roles[:EARLIER][earlier < 2] = Role.DECOY
        return Batch(
            inputs=np.concatenate([earlier, bit, ignored, np.full((1, size), 4)]),
            targets=bit,
            queries=np.array([EARLIER + 1 + gap]),
            roles=roles,
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The bit of the last write."""
        inputs = batch.inputs
        last = len(inputs) - 1 - (inputs < 2)[::-1].argmax(axis=0)
        return np.take_along_axis(inputs, last[None], axis=0)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """The same instruction with the other bit, nothing for the read."""
        return others(batch.inputs[t, row], 2, 2, 1)


@dataclass(frozen=True)
class Parity(Task):
    """gap-parity: n numbers to be added modulo k, then g tokens that add nothing: what is the sum?

    The numbers are uniform and so is their sum: whoever misses a single one of them knows nothing, the last
    one as well as any other.

        cue          filler     question
        +1 +0 +1 +1  p w q p t  =         gap 5, answer 1

    additions: how many numbers n; with 2 they are an exclusive or
    modulus: k; 2 is parity
    """

    name: ClassVar[str] = "gap-parity"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "compute a state and hold it"
    source: ClassVar[str] = "Graves 2016 (arXiv 1603.08983); Delétang et al. 2023 (arXiv 2207.02098)"

    additions: int = 4
    modulus: int = 2

    def __post_init__(self) -> None:
        if self.additions < 2:
            raise ValueError("additions must be at least 2: a single one would be its own sum")
        if self.modulus < 2:
            raise ValueError("modulus must be at least 2")

    @property
    def inputs(self) -> Tokens:
        """The numbers, the noise that adds nothing, the sign that asks for the sum."""
        return Tokens((*(f"+{i}" for i in range(self.modulus)), *NOISE, "="))

    @property
    def output(self) -> Classes:
        """The sum modulo k."""
        return Classes(tuple(map(str, range(self.modulus))))

    def chance(self, gap: int) -> float:
        """One of k."""
        return 1 / self.modulus

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """All numbers but one are free; that one makes the sum the answer drawn."""
        n, k = self.additions, self.modulus
        answer = stream.balanced(k, (1, size))
        free = stream.integers(k, (n - 1, size))
        bound = (answer - free.sum(axis=0)) % k
        noise = k + stream.integers(len(NOISE), (gap, size))
        ask = np.full((1, size), k + len(NOISE))
        return Batch(
            inputs=np.concatenate([free, bound, noise, ask]),
            targets=answer,
            queries=np.array([n + gap]),
            roles=laid_out(size, (Role.CUE, n), (Role.FILLER, gap), (Role.QUESTION, 1)),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The sum of the numbers, modulo k."""
        inputs = batch.inputs
        numbers = np.where(inputs < self.modulus, inputs, 0)
        return numbers.sum(axis=0, keepdims=True) % self.modulus

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another number for a number, other noise for noise, nothing for the sign that asks."""
        return others(batch.inputs[t, row], self.modulus, len(NOISE), 1)
