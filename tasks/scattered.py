"""Scattered cues: a few tokens that matter among many that do not.

They stand at random distinct positions of the first `WINDOW` tokens, the last of them exactly at the end of
these. The gap runs from there; the first cue is up to WINDOW − 1 tokens farther, and `roles` records where.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Real, Reals, Role, Span, Task, Tokens

from ._tokens import ASK, NOISE, SYMBOLS, laid_out, others

WINDOW = 10


def _scattered(stream: Stream, cues: int, size: int) -> Ints:
    """Rising times of the cues, the last one WINDOW − 1: (cues, B)."""
    earlier = np.sort(stream.choose(WINDOW - 1, cues - 1, size), axis=1).T
    return np.concatenate([earlier, np.full((1, size), WINDOW - 1)])


def _roles(times: Ints, gap: int, question: int) -> NDArray[np.int8]:
    """Roles of rows with cues at these times, (T, B)."""
    size = times.shape[1]
    roles = laid_out(size, (Role.PREFIX, WINDOW), (Role.FILLER, gap), (Role.QUESTION, question))
    roles[times, np.arange(size)] = Role.CUE
    return roles


@dataclass(frozen=True)
class Select(Task):
    """gap-select: k symbols scattered among noise, g tokens more of it, then say the symbols in order.

        prefix and cue       filler     question
        p w A q C t p v s H  p w q p t  ? ? ?     gap 5, answers A C H

    payload: number of symbols k, at most 10
    """

    name: ClassVar[str] = "gap-select"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "pick the symbols out of noise and hold them in order"
    source: ClassVar[str] = (
        "Jing et al. 2019 (arXiv 1706.02761); Gu & Dao 2023, selective copying (arXiv 2312.00752)"
    )

    payload: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.payload <= WINDOW:
            raise ValueError(f"payload must be 1 to {WINDOW}")

    @property
    def inputs(self) -> Tokens:
        """Symbols, noise, the recall marker."""
        return Tokens(SYMBOLS + NOISE + ASK)

    @property
    def output(self) -> Classes:
        """The symbols."""
        return Classes(SYMBOLS)

    def chance(self, gap: int) -> float:
        """One of eight symbols."""
        return 1 / len(SYMBOLS)

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Noise, symbols put in its places, recall markers."""
        k, symbols = self.payload, len(SYMBOLS)
        payload = stream.balanced(symbols, (k, size))
        times = _scattered(stream, k, size)
        inputs = np.full((WINDOW + gap + k, size), symbols + len(NOISE))
        inputs[:-k] = symbols + stream.integers(len(NOISE), (WINDOW + gap, size))
        inputs[times, np.arange(size)] = payload
        return Batch(
            inputs=inputs,
            targets=payload,
            queries=WINDOW + gap + np.arange(k),
            roles=_roles(times, gap, k),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The symbols of the row, in order."""
        rows = batch.inputs.T
        return rows[rows < len(SYMBOLS)].reshape(len(rows), -1).T

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another symbol for a symbol, other noise for noise, nothing for a marker."""
        return others(batch.inputs[t, row], len(SYMBOLS), len(NOISE), 1)


@dataclass(frozen=True)
class Order(Task):
    """gap-order: two or three X and Y scattered among noise: in which order did they come?

        prefix and cue       filler     question
        p w Y q r t p v s X  p w q p t  ?         gap 5, answer YX

    The gap is that of the last symbol. The first is farther back, here by 7 tokens: by 1 to 9 with two
    symbols, each equally often, by 2 to 9 with three. `roles` tells where each stands.

    symbols: 2, of four orders (experiment 6a), or 3, of eight (6b)
    """

    name: ClassVar[str] = "gap-order"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "tell in which order things came"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997, experiments 6a and 6b"

    symbols: Literal[2, 3] = 2

    @property
    def inputs(self) -> Tokens:
        """X and Y, noise, the trigger."""
        return Tokens(("X", "Y", *NOISE, *ASK))

    @property
    def output(self) -> Classes:
        """The orders: XX, XY, YX, YY, or those of three."""
        return Classes(tuple(map("".join, product("XY", repeat=self.symbols))))

    @property
    def _places(self) -> Ints:
        """What an X or a Y in each place adds to the class number, (symbols, 1)."""
        return 2 ** np.arange(self.symbols)[::-1, None]

    def chance(self, gap: int) -> float:
        """One of four orders, or of eight."""
        return 1 / 2**self.symbols

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Noise, X and Y put in its places, the trigger."""
        order = stream.balanced(2**self.symbols, (1, size))
        times = _scattered(stream, self.symbols, size)
        inputs = np.full((WINDOW + gap + 1, size), 2 + len(NOISE))
        inputs[:-1] = 2 + stream.integers(len(NOISE), (WINDOW + gap, size))
        inputs[times, np.arange(size)] = order // self._places % 2
        return Batch(
            inputs=inputs,
            targets=order,
            queries=np.array([WINDOW + gap]),
            roles=_roles(times, gap, 1),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The X and Y of the row, in order."""
        rows = batch.inputs.T
        symbols = rows[rows < 2].reshape(len(rows), self.symbols).T
        return (symbols * self._places).sum(axis=0, keepdims=True)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """X for Y and Y for X, other noise for noise, nothing for the trigger."""
        return others(batch.inputs[t, row], 2, len(NOISE), 1)


@dataclass(frozen=True)
class Add(Task):
    """gap-add: real numbers, two of them marked: what is the sum of these two?

    A token is a number and its mark: 1 for the two that count (*), 0 for the others, −1 for the last token,
    which asks (?). An answer is right within 0.04.

        prefix and cue                                       filler          question
        0.62 0.18 0.35* 0.90 0.47 0.71 0.08 0.55 0.26 0.14*  0.83 0.39 0.60  0.77?  gap 3, answer 0.49

    variant: `unit`, numbers of [0, 1) and their sum, as in later papers; `hochreiter`, numbers x, y of
        [−1, 1) and ½ + (x + y) / 4, as in the first
    """

    name: ClassVar[str] = "gap-add"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "hold a real number and add another to it"
    source: ClassVar[str] = (
        "Hochreiter & Schmidhuber 1997, experiment 4; unit: Le et al. 2015 (arXiv 1504.00941)"
    )

    variant: Literal["unit", "hochreiter"] = "unit"

    @property
    def inputs(self) -> Reals:
        """The number and its mark."""
        return Reals(2)

    @property
    def output(self) -> Real:
        """The sum."""
        return Real(0.04)

    @property
    def _range(self) -> tuple[float, float]:
        """The least number and the width of their range."""
        return (0.0, 1.0) if self.variant == "unit" else (-1.0, 2.0)

    def _target(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return x + y if self.variant == "unit" else 0.5 + (x + y) / 4

    def chance(self, gap: int) -> float:
        """The best constant is the mean: right in 0.0784 of the rows, or 0.1536 in the other variant.

        The sum of two uniform numbers has a triangular density, highest in the middle and with half its base
        h = 1 (or, scaled, ½): so no other interval ± 0.04 has more of it, and this one has 1 − (1 − 0.04 /
        h)². The squared error of that constant is the variance of the sum, h² / 6: 0.1667, where papers print
        0.1767.
        """
        half_base = 1.0 if self.variant == "unit" else 0.5
        return 1 - (1 - self.output.tolerance / half_base) ** 2

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Numbers, two marks, the token that asks."""
        low, width = self._range
        rows = np.arange(size)
        times = _scattered(stream, 2, size)
        inputs = np.zeros((WINDOW + gap + 1, size, 2))
        inputs[..., 0] = low + width * stream.uniform(inputs.shape[:2])
        inputs[times, rows, 1] = 1
        inputs[-1, :, 1] = -1
        return Batch(
            inputs=inputs,
            targets=self._target(*inputs[times, rows, 0])[None],
            queries=np.array([WINDOW + gap]),
            roles=_roles(times, gap, 1),
        )

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The sum of the marked numbers."""
        rows = batch.inputs.swapaxes(0, 1)
        marked = rows[rows[..., 1] == 1, 0].reshape(len(rows), 2)
        return self._target(*marked.T)[None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """The number half a range away with the same mark, nothing for the token that asks."""
        low, width = self._range
        number, mark = batch.inputs[t, row]
        if mark == -1:
            return np.empty((0, 2))
        return np.array([[low + (number - low + width / 2) % width, mark]])

    def render(self, batch: Batch, row: int) -> list[Span]:
        """Numbers with their marks as in the example above."""
        spans = super().render(batch, row)
        tokens = batch.inputs[:, row].tolist()
        signs = {0: "", 1: "*", -1: "?"}
        return [
            span._replace(text=f"{number:.2f}{signs[mark]}")
            for span, (number, mark) in zip(spans, tokens, strict=True)
        ]
