"""Copying: say again, after the gap, what came before it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role, Task, Tokens

from ._tokens import ASK, NOISE, SYMBOLS, laid_out, others

BLANK = ("·",)
ECHOES = 16
"""Answers of gap-echo that are scored."""


@dataclass(frozen=True)
class Copy(Task):
    """gap-copy: a payload of k symbols, g filler tokens, then k recall markers that ask for it in order.

    Only the recalls are scored: scoring the blanks too would give a constant answer (T + 10) / (T + 20).

        cue    filler     question
        C A H  p w q p t  ? ? ?       gap 5, answers C A H

    filler: `noise`, i.i.d. from an alphabet of its own, or `blank`, the classical task
    payload: number of symbols k; 3 with noise, 10 with blanks
    """

    name: ClassVar[str] = "gap-copy"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "hold several symbols in order"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016 (arXiv 1511.06464)"

    filler: Literal["noise", "blank"] = "noise"
    payload: int | None = None

    def __post_init__(self) -> None:
        if self.payload is None:
            object.__setattr__(self, "payload", 3 if self.filler == "noise" else 10)
        if self._k < 1:
            raise ValueError("payload must be at least 1")

    @property
    def _k(self) -> int:
        assert self.payload is not None
        return self.payload

    @property
    def _fillers(self) -> tuple[str, ...]:
        return NOISE if self.filler == "noise" else BLANK

    @property
    def inputs(self) -> Tokens:
        """Symbols, then filler tokens, then the recall marker."""
        return Tokens(SYMBOLS + self._fillers + ASK)

    @property
    def output(self) -> Classes:
        """The symbols."""
        return Classes(SYMBOLS)

    def chance(self, gap: int) -> float:
        """One of eight symbols."""
        return 1 / len(SYMBOLS)

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Payload, filler and recall markers, in this order."""
        k, symbols = self._k, len(SYMBOLS)
        payload = np.stack([stream.balanced(symbols, size) for _ in range(k)])  # (k, B)
        filler = symbols + stream.integers(len(self._fillers), (gap, size))
        recall = np.full((k, size), self.inputs.size - 1)
        return Batch(
            inputs=np.concatenate([payload, filler, recall]),
            targets=payload,
            queries=np.arange(k + gap, k + gap + k),
            roles=laid_out(size, (Role.CUE, k), (Role.FILLER, gap), (Role.QUESTION, k)),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The symbols of the row, in order."""
        inputs = batch.inputs
        return np.stack([row[row < len(SYMBOLS)] for row in inputs.T], axis=1)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another symbol for a symbol, another filler token for a filler token, nothing for a marker."""
        return others(batch.inputs[t, row], len(SYMBOLS), len(self._fillers), 1)


@dataclass(frozen=True)
class Echo(Task):
    """gap-echo: say at every time what came g + 1 tokens before.

    A capital is to be heard only, a small letter to be heard too and to be answered by the symbol g + 1 back:
    the first one so tells what g is. Sixteen answers are scored, the first of them at time g + 1.

        cue      question
        C A H B  d f a g h …          gap 3, answers C A H B D …

    The gap is that of each query on its own: the last token an answer hangs on, here the only one, has g
    tokens between itself and the query. The roles are those of the definition, before the question: the first
    sixteen tokens are cue, or all of them where there are not so many.
    """

    name: ClassVar[str] = "gap-echo"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "keep a queue: take in and give out at once"
    source: ClassVar[str] = "Jaeger 2001, Short term memory in echo state networks (GMD report 152)"
    streaming: ClassVar[bool] = True

    @property
    def inputs(self) -> Tokens:
        """Symbols to be heard, the same to be heard and answered."""
        return Tokens((*SYMBOLS, *map(str.lower, SYMBOLS)))

    @property
    def output(self) -> Classes:
        """The symbols."""
        return Classes(SYMBOLS)

    def chance(self, gap: int) -> float:
        """One of eight symbols."""
        return 1 / len(SYMBOLS)

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Symbols, g + 1 of them to be heard only."""
        n, start = ECHOES, gap + 1
        heard = stream.balanced(len(SYMBOLS), (n, size))
        inputs = np.concatenate([heard, stream.integers(len(SYMBOLS), (start, size))])
        inputs[start:] += len(SYMBOLS)
        cue = min(n, start)
        return Batch(
            inputs=inputs,
            targets=heard,
            queries=np.arange(start, start + n),
            roles=laid_out(size, (Role.CUE, cue), (Role.FILLER, start - cue), (Role.QUESTION, n)),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The symbols from the first token on, one for each query."""
        return batch.inputs[batch.queries - batch.queries[0]] % len(SYMBOLS)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another symbol, to be answered or not as the one that stands there."""
        return others(batch.inputs[t, row], len(SYMBOLS), len(SYMBOLS))
