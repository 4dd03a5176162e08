"""Copying: say again, after the gap, what came before it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role, Task, Tokens

SYMBOLS = tuple("ABCDEFGH")
NOISE = tuple("pqrstuvw")
BLANK = ("·",)
RECALL = ("?",)


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
        return Tokens(SYMBOLS + self._fillers + RECALL)

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
        roles = np.repeat([Role.CUE, Role.FILLER, Role.QUESTION], [k, gap, k]).astype(np.int8)
        return Batch(
            inputs=np.concatenate([payload, filler, recall]),
            targets=payload,
            queries=np.arange(k + gap, k + gap + k),
            roles=np.broadcast_to(roles[:, None], (len(roles), size)),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The symbols of the row, in order."""
        inputs = batch.inputs
        return np.stack([row[row < len(SYMBOLS)] for row in inputs.T], axis=1)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another symbol for a symbol, another filler token for a filler token, nothing for a marker."""
        symbols, fillers = len(SYMBOLS), len(self._fillers)
        own = {
            Role.CUE: np.arange(symbols),
            Role.FILLER: np.arange(symbols, symbols + fillers),
            Role.QUESTION: np.arange(0),
        }[Role(batch.roles[t, row])]
        return own[own != batch.inputs[t, row]]
