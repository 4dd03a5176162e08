"""What a task is: sequences with a dependency at an exact gap. NumPy only.

Letters: T time, B batch, Q queries.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from itertools import groupby
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError, unknown
from harness.ids import Id, signature_options, spell, typed
from harness.streams import Stream

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_PUNCTUATION = (".", ",")


class Role(IntEnum):
    """What a token is there for."""

    PREFIX = 0
    CUE = 1
    DECOY = 2
    FILLER = 3
    QUESTION = 4


@dataclass(frozen=True)
class Tokens:
    """Inputs are token numbers; `words[i]` is how token i is written."""

    words: tuple[str, ...]

    @property
    def size(self) -> int:
        """The vocabulary's size V."""
        return len(self.words)


@dataclass(frozen=True)
class Reals:
    """Inputs are vectors of `size` real numbers."""

    size: int


@dataclass(frozen=True)
class Classes:
    """The answer is one of these classes; `names[i]` is how class i is written. Trained by cross-entropy."""

    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of classes."""
        return len(self.names)


@dataclass(frozen=True)
class Real:
    """The answer is one real number, right when |error| < tolerance. Trained by squared error."""

    tolerance: float
    size: ClassVar[int] = 1


@dataclass(frozen=True)
class Batch:
    """Rows of one gap. All rows share the length T and the query positions.

    inputs: (T, B) token numbers, or (T, B, D) reals
    targets: (Q, B) class numbers, or reals
    queries: (Q,) rising time indices at which an answer is asked
    roles: (T, B) values of Role
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    queries: NDArray[np.int64]
    roles: NDArray[np.int8]


class Span(NamedTuple):
    """One token of a rendered row: its text, its role, and the answer if one is asked here."""

    text: str
    role: Role
    answer: str | None = None


def phrases(spans: Iterable[Span]) -> Iterator[tuple[Role, str]]:
    """Neighbours of one role as text, which begins with a space unless it begins with punctuation.

    >>> list(phrases([Span("born", Role.PREFIX), Span("in", Role.PREFIX), Span(".", Role.FILLER)]))
    [(<Role.PREFIX: 0>, ' born in'), (<Role.FILLER: 3>, '.')]
    """
    for role, run in groupby(spans, key=lambda span: span.role):
        yield role, "".join(span.text if span.text in _PUNCTUATION else f" {span.text}" for span in run)


@dataclass(frozen=True)
class Task(ABC):
    """A probe. A subclass is a frozen dataclass whose fields are its options, each with a default.

    It writes `inputs`, `output`, `chance`, `sample`, `solve` and `alternatives`, and sets the class variables
    below. A batch is laid out as prefix ‖ cue ‖ filler ‖ question. The gap is the number of tokens strictly
    between the last cue token and the first query.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Rises whenever the samples change."""
    ability: ClassVar[str]
    """What a cell must be able to do, in a few words."""
    source: ClassVar[str]
    """The paper the probe is taken from."""
    streaming: ClassVar[bool] = False
    """Whether each query has its own dependency, with the gap between the two."""
    text: ClassVar[bool] = False
    """Whether it is text, where neither the first nor the last word that names an answer may give it away."""

    expected_failures: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """By the name of a conformance check, why this task has to fail it."""

    @property
    @abstractmethod
    def inputs(self) -> Tokens | Reals:
        """What a cell reads."""

    @property
    @abstractmethod
    def output(self) -> Classes | Real:
        """What a cell answers."""

    @property
    def candidates(self) -> NDArray[np.int64] | None:
        """The token numbers of the classes (C,), in the order of their names, or None.

        A task that has candidates is trained to predict every next token, the one after a query being
        `candidates[target]`; its answer is the likeliest of the candidates. Else answers alone are trained.
        """
        return None

    @property
    def min_gap(self) -> int:
        """The smallest gap; every larger one is reachable too."""
        return 0

    @abstractmethod
    def chance(self, gap: int) -> float:
        """The exact accuracy of the best answer that ignores the cue."""

    @abstractmethod
    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Draw `size` rows of this gap from the streams, and from nothing else.

        layout: the same for every repetition; what sets the length or the queries is drawn from it
        """

    def sample_split(self, split: Split, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """As `sample`; a task whose test is made of other things than its training writes this one too."""
        return self.sample(stream, layout, gap, size)

    @abstractmethod
    def solve(self, batch: Batch) -> NDArray[Any]:
        """The right answers (Q, B), read off `inputs` and `queries` alone."""

    @abstractmethod
    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """The inputs that may stand at time t of this row instead, within the role of the one that does."""

    def batch(self, split: Split, repetition: int, gap: int, index: int, size: int) -> Batch:
        """Batch number `index` of a split: a pure function of the arguments.

        Its length and queries are the same in every repetition, which can so train side by side. Raises
        UserError when the gap is below `min_gap`.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self.require(gap)
        stream = Stream(self.id, split, repetition, gap, index)
        layout = Stream(self.id, split, "layout", gap, index)
        return self.sample_split(split, stream, layout, gap, size)

    def require(self, gap: int) -> None:
        """Raise UserError when the gap is below `min_gap`."""
        if gap < self.min_gap:
            raise UserError(f"{self.name} cannot have a gap of {gap}: its smallest gap is {self.min_gap}")

    def render(self, batch: Batch, row: int) -> list[Span]:
        """The row as text, a span for each token, with its role and the answers asked for."""
        answers = dict(zip(batch.queries.tolist(), batch.targets[:, row], strict=True))
        inputs, output = self.inputs, self.output

        def text(t: int) -> str:
            value = batch.inputs[t, row]
            return inputs.words[value] if isinstance(inputs, Tokens) else " ".join(f"{x:.2f}" for x in value)

        def answer(t: int) -> str | None:
            if t not in answers:
                return None
            return output.names[answers[t]] if isinstance(output, Classes) else f"{answers[t]:.2f}"

        return [Span(text(t), Role(batch.roles[t, row]), answer(t)) for t in range(len(batch.inputs))]

    @cached_property
    def id(self) -> str:
        """The canonical id: name, version and the options that differ from their defaults."""
        return str(
            Id(self.name, str(self.version), {key: spell(value) for key, value in self.options.items()})
        )

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from what they would be if left out, in the order of their names."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for key in list(given):
            without = {k: v for k, v in given.items() if k != key}
            if type(self)(**without) == self:
                given = without
        return dict(sorted(given.items()))

    @classmethod
    def from_id(cls, id: Id) -> "Task":
        """The task that an id means. Raises UserError on an unknown option or another version."""
        if id.version not in (None, str(cls.version)):
            raise UserError(f"{id.name} is at version {cls.version}; version {id.version} is not here")
        options = typed(id.name, id.options, signature_options(cls))
        try:
            return cls(**options)
        except ValueError as error:
            raise UserError(f"{id}: {error}") from None
