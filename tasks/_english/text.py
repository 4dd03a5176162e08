"""What the natural-language probes have in common: options, vocabulary, and rows made of segments.

Letters: T time, B batch, L the most tokens of a segment.
"""

import csv
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role, Span, Split, Task, Tokens

from .filler import english
from .pools import Part


class Vocabulary:
    """The words of a probe: those of the filler, then the others that it needs, sorted.

    words: all of them; a word's number is its place
    number: the number of a word
    filler: the numbers of words that stand in filler only
    without: the words that the filler leaves out
    """

    def __init__(self, own: Iterable[str], without: Iterable[str] = ()) -> None:
        self.without = frozenset(without)
        own, filler = set(own), english(without=self.without)
        self.words = (*filler.words, *sorted(own.difference(filler.words)))
        self.number = {word: number for number, word in enumerate(self.words)}
        self.filler = np.array([number for number in filler.own if self.words[number] not in own])

    def numbers(self, words: ArrayLike) -> Ints:
        """An array of words, of any shape, as their numbers."""
        words = np.asarray(words)
        return np.array([self.number[word] for word in words.flat], np.int64).reshape(words.shape)

    def phrases(self, phrases: Sequence[Sequence[str]]) -> tuple[Ints, NDArray[np.bool_]]:
        """Phrases as their numbers, (N, L), and which of the places are theirs; others are of no account."""
        kept = np.arange(max(map(len, phrases))) < np.array(list(map(len, phrases)))[:, None]
        numbers = np.zeros(kept.shape, np.int64)
        numbers[kept] = self.numbers([word for words in phrases for word in words])
        return numbers, kept


class Fixed(NamedTuple):
    """Words that a probe sets itself.

    words: (B, L), or (L,) alike in all rows
    kept: which of them the row has, (B, L); all of them by default
    role: one for all, or (B, L)
    """

    words: Ints
    kept: NDArray[np.bool_] | None = None
    role: Role | NDArray[np.int8] = Role.PREFIX


class Blank(NamedTuple):
    """Room for so many tokens of filler, (B,)."""

    lengths: Ints
    role: Role = Role.PREFIX


def compose(
    stream: Stream, part: Part, *segments: Fixed | Blank, without: frozenset[str] = frozenset()
) -> tuple[Ints, NDArray[np.int8]]:
    """Rows of segments, one after another: inputs (T, B) and roles (T, B).

    Blanks, of which there is one at least, are filled with whole sentences of this part of the filler. What
    is said to be prefix becomes filler after the row's last cue. Raises ValueError when rows are not of one
    length, or where a blank cannot be filled.

    without: words that the filler leaves out
    """
    size = next(len(segment.lengths) for segment in segments if isinstance(segment, Blank))
    words, kept, roles = [], [], []
    for segment in segments:
        if isinstance(segment, Blank):
            wide = np.arange(segment.lengths.max()) < segment.lengths[:, None]
            words.append(np.full(wide.shape, -1))
            kept.append(wide)
        else:
            words.append(np.broadcast_to(segment.words, (size, segment.words.shape[-1])))
            kept.append(np.ones(words[-1].shape, bool) if segment.kept is None else segment.kept)
        roles.append(np.broadcast_to(np.asarray(segment.role, np.int8), words[-1].shape))
    there = np.concatenate(kept, axis=1)
    lengths = there.sum(axis=1)
    if np.ptp(lengths):
        raise ValueError(f"rows have from {lengths.min()} to {lengths.max()} tokens")
    inputs = np.concatenate(words, axis=1)[there].reshape(size, -1)
    role = np.concatenate(roles, axis=1)[there].reshape(size, -1)
    blanks = [segment.lengths for segment in segments if isinstance(segment, Blank)]
    inputs[inputs < 0] = english(part, without).write(stream, np.stack(blanks, axis=1).ravel())
    to_come = np.cumsum(role[:, ::-1] == Role.CUE, axis=1)[:, ::-1]
    role[(role == Role.PREFIX) & (to_come == 0)] = Role.FILLER
    return np.ascontiguousarray(inputs.T), np.ascontiguousarray(role.T)


@dataclass(frozen=True)
class Text(Task):
    """A probe in English, one token a word. Words are stored as they stand inside a sentence.

    objective: train the answer at the query alone, or, with `lm`, to predict every next word of the text
    held_out: names, templates and filler of the test are such that training and validation never show
    """

    text: ClassVar[bool] = True

    objective: Literal["answer", "lm"] = field(default="answer", kw_only=True)
    held_out: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The words of texts and questions."""

    @property
    @abstractmethod
    def output(self) -> Classes:
        """The answers, each one word."""

    @abstractmethod
    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """As `sample`, of names, templates and filler of this part."""

    @property
    def inputs(self) -> Tokens:
        """The words of the filler, then those that the probe alone uses; with `lm`, the answers too."""
        return Tokens((*self.vocabulary.words, *self._answers_only))

    @property
    def _answers_only(self) -> list[str]:
        """The answers that are in no text but have to be in the vocabulary."""
        known = self.vocabulary.number
        return [name for name in self.output.names if self.objective == "lm" and name not in known]

    @property
    def candidates(self) -> Ints | None:
        """With `lm`, the token numbers of the answers (C,)."""
        if self.objective == "answer":
            return None
        number = {word: number for number, word in enumerate(self.inputs.words)}
        return np.array([number[name] for name in self.output.names])

    def sample(self, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """Rows of all names, templates and filler."""
        return self.sample_part(stream, layout, gap, size, "all")

    def sample_split(self, split: Split, stream: Stream, layout: Stream, gap: int, size: int) -> Batch:
        """With `held_out`, the test is of what training and validation leave out."""
        if not self.held_out:
            return self.sample(stream, layout, gap, size)
        return self.sample_part(stream, layout, gap, size, "held out" if split == "test" else "training")

    def render(self, batch: Batch, row: int) -> list[Span]:
        """The row as text, with a capital where a sentence begins."""
        spans = super().render(batch, row)
        ends = [".", *(span.text for span in spans)]
        return [
            span._replace(text=span.text[0].upper() + span.text[1:]) if end == "." else span
            for end, span in zip(ends, spans, strict=False)
        ]


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows of a table that lies beside this file."""
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
