"""Binding: which value belongs to which name?

Several bindings stand one after the other, and the one asked for may be any of them. It ends at the same
time in all rows, exactly g tokens before the query; the others stand before it or within the gap. In the next
batch that time is another, so that the number of tokens before the bindings hardly tells which of them is
asked. A cell trained at one gap alone may still count instead of heeding the name; trained at many it cannot.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role, Task, Tokens

from ._tokens import NOISE, SYMBOLS, laid_out, others

VALUES = tuple("12345678")
NAMES = SYMBOLS
_NAME = len(VALUES)
_NOISE = _NAME + len(NAMES)
WORDS = VALUES + NAMES + NOISE
_PARTS = np.array([[Role.PREFIX, Role.CUE], [Role.DECOY, Role.DECOY]], np.int8)
"""Roles of target and source, in the chain asked for and in the other."""

SPREAD = 16
"""How many places the bindings may have."""


def _embedded(
    stream: Stream,
    layout: Stream,
    gap: int,
    bindings: Ints,
    roles: NDArray[np.int8],
    late: Ints,
    answer: Ints,
) -> Batch:
    """Noise, bindings, noise and the name asked for, which is that of the binding with the cue.

    bindings, roles: (n, B); late: (B,) tokens of them that follow the cue
    """
    (n, size), rows = bindings.shape, np.arange(bindings.shape[1])
    before = int(layout.integers(SPREAD, 1)[0])
    query = before + n + gap
    t = before + late + np.arange(n)[:, None]
    inputs = stream.integers(len(NOISE), (query + 1, size))
    inputs += _NOISE
    inputs[t, rows] = bindings
    inputs[query] = bindings[n - 2 - late, rows]
    all_roles = laid_out(size, (Role.PREFIX, before + n), (Role.FILLER, gap), (Role.QUESTION, 1))
    all_roles[t, rows] = roles
    return Batch(inputs=inputs, targets=answer[None], queries=np.array([query]), roles=all_roles)


@dataclass(frozen=True)
class Recall(Task):
    """gap-recall: pairs of a key and a value, g tokens, then one of the keys: which was its value?

        prefix   decoy  key  cue  decoy  filler         question
        p w q t  C 2    B    5    D 1    u u p r w s q  B         gap 9, answer 5

    Every place among the pairs is asked equally often; here it is the second of three. The value is the cue.
    Its key belongs to it in sense, but no other in its place would leave a question with an answer. Values
    are drawn by themselves, so that those of other keys tell nothing. Keys are distinct and never noise.
    Holding three values without their keys and guessing is right in 5/12 of the rows.

    overwrite: each key was given another value before, all of them in another order; the later value counts
    pairs: how many, up to 8
    """

    name: ClassVar[str] = "gap-recall"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "find a value by its key"
    source: ClassVar[str] = "Ba et al. 2016 (arXiv 1610.06258); Arora et al. 2023, MQAR (arXiv 2312.04927)"

    overwrite: bool = False
    pairs: int = 3

    def __post_init__(self) -> None:
        if not 2 <= self.pairs <= len(NAMES):
            raise ValueError(f"pairs must be 2 to {len(NAMES)}")

    @property
    def inputs(self) -> Tokens:
        """Values, keys, noise."""
        return Tokens(WORDS)

    @property
    def output(self) -> Classes:
        """The values."""
        return Classes(VALUES)

    @property
    def min_gap(self) -> int:
        """All other pairs may stand within it."""
        return 2 * (self.pairs - 1)

    def chance(self, gap: int) -> float:
        """One of eight values."""
        return 1 / len(VALUES)

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Noise, pairs, noise, the key asked for."""
        n, rows = self.pairs, np.arange(size)
        answer = stream.balanced(len(VALUES), size)
        asked = stream.balanced(n, size)
        keys = _NAME + stream.choose(len(NAMES), n, size).T
        values = stream.integers(len(VALUES), (n, size))
        values[asked, rows] = answer
        pairs = np.stack([keys, values], axis=1)  # (n, 2, B)
        roles = np.full(pairs.shape, Role.DECOY, np.int8)
        roles[asked, 0, rows] = Role.PREFIX
        roles[asked, 1, rows] = Role.CUE
        if self.overwrite:
            order = stream.permutations(size, n).T
            old = np.take_along_axis(keys, order, axis=0), stream.integers(len(VALUES), (n, size))
            pairs = np.concatenate([np.stack(old, axis=1), pairs])
            roles = np.concatenate([np.full_like(roles, Role.DECOY), roles])
        late = 2 * (n - 1 - asked)
        return _embedded(stream, layout, gap, pairs.reshape(-1, size), roles.reshape(-1, size), late, answer)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The token after the last one that is the key asked for."""
        query = batch.queries[0]
        same = batch.inputs[:query] == batch.inputs[query]
        last = query - 1 - same[::-1].argmax(axis=0)
        return np.take_along_axis(batch.inputs, last[None] + 1, axis=0)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another value for a value, other noise for noise, for a key one that the row does not have; nothing
        for the key asked for.
        """
        token, tokens = batch.inputs[t, row], batch.inputs[:, row]
        found = others(token, len(VALUES), len(NAMES), len(NOISE))
        if not _NAME <= token < _NOISE:
            return found
        return np.setdiff1d(found, tokens) if token != tokens[batch.queries[0]] else found[:0]


@dataclass(frozen=True)
class Hop(Task):
    """gap-hop: variables are assigned a value or another variable; what is the value of the last one?

        prefix   assignments      filler   question
        p w q t  A 3 D 5 E D B A  u p r w  B         gap 4, answer 3

    An assignment is two tokens, "B A" says B ← A. One chain of h assignments leads from the value to the
    variable asked for, another one just like it to a variable that is not. The two take turns, either of them
    first in every turn, so that the last assignment and the last value are those asked for half of the time.
    The cue is the sources in the chain: the value and the variables passed on. Values are drawn by
    themselves, so that the other chain's tells nothing. Holding both and guessing is right in 9/16 of the
    rows.

    hops: assignments in a chain h, up to 4
    """

    name: ClassVar[str] = "gap-hop"
    version: ClassVar[int] = 1
    ability: ClassVar[str] = "follow a chain of bindings"
    source: ClassVar[str] = "Hsieh et al. 2024, variable tracking of RULER (arXiv 2404.06654)"

    hops: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.hops <= len(NAMES) // 2:
            raise ValueError(f"hops must be 1 to {len(NAMES) // 2}")

    @property
    def inputs(self) -> Tokens:
        """Values, variables, noise."""
        return Tokens(WORDS)

    @property
    def output(self) -> Classes:
        """The values."""
        return Classes(VALUES)

    @property
    def min_gap(self) -> int:
        """The last assignment of the other chain may stand within it."""
        return 2

    def chance(self, gap: int) -> float:
        """One of eight values."""
        return 1 / len(VALUES)

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Noise, assignments, noise, the variable asked for."""
        h, rows = self.hops, np.arange(size)
        values = stream.balanced(len(VALUES), (2, size))  # of the chain asked for and of the other
        links = np.empty((2, h, 2, size), np.int64)  # of both chains, target and source of each assignment
        links[:, :, 0] = _NAME + stream.choose(len(NAMES), 2 * h, size).T.reshape(2, h, size)
        links[:, 0, 1], links[:, 1:, 1] = values, links[:, :-1, 0]
        first = stream.balanced(2, (h, size))  # the chain whose turn comes first
        chain = first[:, None, None] ^ np.arange(2)[:, None, None]  # (h, 2, 1, B): that one, then the other
        turn, part = np.arange(h)[:, None, None, None], np.arange(2)[:, None]
        pairs, roles = links[chain, turn, part, rows], _PARTS[chain, part]  # (h, 2, 2, B)
        late = 2 * (1 - first[-1])
        return _embedded(
            stream, layout, gap, pairs.reshape(-1, size), roles.reshape(-1, size), late, values[0]
        )

    def _starts(self, inputs: Ints) -> Ints:
        """When the assignments of each row begin."""
        return (inputs < _NOISE).argmax(axis=0)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """From the last assignment to the first, replace what is asked for by what it was assigned."""
        inputs = batch.inputs
        t = self._starts(inputs) + np.arange(4 * self.hops)[:, None]
        targets, sources = (
            np.take_along_axis(inputs, t, axis=0).reshape(-1, 2, inputs.shape[1]).swapaxes(0, 1)
        )
        asked = inputs[batch.queries[0]]
        for target, source in zip(targets[::-1], sources[::-1], strict=True):
            asked = np.where(asked == target, source, asked)
        return asked[None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """A value for a source, other noise for noise; for a variable that is assigned to and not used, one
        that the row does not have; nothing for one that is used or asked for.
        """
        token, tokens = batch.inputs[t, row], batch.inputs[:, row]
        found = others(token, len(VALUES), len(NAMES), len(NOISE))
        if t == batch.queries[0]:
            return found[:0]
        if not _NAME <= token < _NOISE:
            return found
        if (t - self._starts(tokens)) % 2:
            return np.arange(len(VALUES))
        return np.setdiff1d(found, tokens) if np.count_nonzero(tokens == token) == 1 else found[:0]
