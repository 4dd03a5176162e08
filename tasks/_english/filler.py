"""Filler: fluent English of an exact number of tokens, drawn anew for every sample.

`words.toml` has classes of words, `sentences.toml` the phrases and sentences made of them. A text of n tokens
is a sequence of whole sentences, drawn with the probability that the grammar gives it among all sequences of
this length. Sentences are compiled to patterns of fixed length once; drawing is then a few array look-ups for
a whole batch.

Letters: N texts, S sentences.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream

from .notation import Lexicon, Shape, Slot, article, forms
from .pools import Part, portion

_UNIT = 1 << 24
"""Weights are whole numbers of this unit, so that every machine draws the same text."""
_WORD = 1 << 32
"""Random words are below this."""
_WIDE = 10
"""So many words make a class wide: some of them can be held out."""


def english(part: Part = "all", without: frozenset[str] = frozenset()) -> "Filler":
    """The filler of the natural-language probes, or the part of it that is made of these words and sentences.

    without: words of words.toml that it leaves out, with their plurals and the longer words they are part of

    Every part has the same `words`, and so has the filler without some.
    """
    return _english(part, without)


@cache
def _english(part: Part, without: frozenset[str]) -> "Filler":
    folder = Path(__file__).parent
    classes = tomllib.loads((folder / "words.toml").read_text(encoding="utf-8"))
    grammar = tomllib.loads((folder / "sentences.toml").read_text(encoding="utf-8"))
    lexicon = Lexicon()
    for name, words in _words(classes, part, grammar).items():
        kept = (word for word in words if without.isdisjoint(re.split("[_/]", word)))
        lexicon.add_words(name, " ".join(kept))
    for name, lines in grammar["phrases"].items():
        lexicon.add_phrases(name, lines)
    vocabulary = english().words if part != "all" or without else ()
    return Filler(lexicon, _lines(grammar["frames"], grammar["sentences"], part), vocabulary)


def _words(classes: dict[str, str], part: Part, grammar: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """A part of the words of every wide class. Those that stand in a line of the grammar, in a small class or
    in a longer word too are in every part.
    """
    words = {name: text.split() for name, text in classes.items()}
    everywhere = " ".join(line for lines in grammar.values() for line in lines.values())
    for own in words.values():
        everywhere += " " + " ".join(word for word in own if len(own) < _WIDE or "_" in word)
    common = set(re.findall(r"[a-z]+", everywhere))
    free = {word for own in words.values() for word in own if common.isdisjoint(forms(word))}
    held_out = set(portion(sorted(free), "held out"))
    if part == "training":
        return {name: [word for word in own if word not in held_out] for name, own in words.items()}
    if part == "held out":
        return {name: [word for word in own if word in held_out] or own for name, own in words.items()}
    return words


def _lines(frames: dict[str, str], sentences: dict[str, str], part: Part) -> Iterator[tuple[float, str]]:
    """Every sentence in every frame of its kind, each sentence equally likely."""
    for kind, cores in sentences.items():
        own = frames[kind].strip().splitlines()
        for core in portion(cores.strip().splitlines(), part):
            for frame in own:
                yield 1 / len(own), frame.replace("{core}", core)


class Filler:
    """A compiled grammar.

    words: everything that it can write, sorted, or the words given, which have all of that
    own: the numbers of those that it can write
    """

    def __init__(
        self, lexicon: Lexicon, lines: Iterable[tuple[float, str]], words: tuple[str, ...] = ()
    ) -> None:
        """Compile sentences, given as weighted lines of the notation over the classes of the lexicon."""
        patterns = [
            (_length(shape), max(1, round(_UNIT * weight * share)), shape)
            for weight, line in lines
            for share, shape in lexicon.shapes(line)
        ]
        patterns.sort(key=lambda pattern: pattern[0])
        by_length: list[list[int]] = [[] for _ in range(patterns[-1][0] + 1)]
        for length, weight, _ in patterns:
            by_length[length].append(weight)
        self._weights = {length: sum(weights) for length, weights in enumerate(by_length) if weights}
        self._pattern_ends = _ends(by_length)
        self._plans: dict[int, tuple[Ints, Ints, NDArray[np.bool_]]] = {}
        self._compile(lexicon, [shape for _, _, shape in patterns], words)

    def _compile(self, lexicon: Lexicon, shapes: list[Shape], words: tuple[str, ...]) -> None:
        """Lay the shapes out in cells, one a token: a column of words and the slot that chooses from it."""
        texts: list[str] = []
        members = cache(lexicon.members)

        @cache
        def column(part: str | Slot, at: int) -> int:
            """Where the words of a part begin: its token number `at`, or its articles for −1."""
            start = len(texts)
            texts.extend(article(words[0]) if at < 0 else words[at] for words in members(part))
            return start

        cells: list[tuple[int, int]] = []
        starts, sizes = [], []
        for shape in shapes:
            starts.append(len(cells))
            size = [1]  # slot 0 is for the words that stand in the line itself
            for part, after in zip(shape, (*shape[1:], ""), strict=True):
                if isinstance(part, Slot):
                    cells += [(column(part, at), len(size)) for at in range(part.length)]
                    size.append(len(members(part)))
                elif part == "a":
                    cells.append((column(after, -1), len(size) if isinstance(after, Slot) else 0))
                else:
                    cells.append((column(part, 0), 0))
            sizes.append(size)
        slots = max(map(len, sizes))
        self._starts = np.array(starts)
        self._sizes = np.array([size + [1] * (slots - len(size)) for size in sizes])
        self._columns, self._slots = np.array(cells).T.copy()
        self.words = words or tuple(sorted(set(texts)))
        numbers = {word: number for number, word in enumerate(self.words)}
        self._texts = np.array([numbers[text] for text in texts])
        self.own = np.unique(self._texts)

    def write(self, stream: Stream, lengths: Ints) -> Ints:
        """Texts of these lengths (N,), one after another, as indices into `words`: (lengths.sum(),).

        Raises ValueError for a length that no sequence of sentences has.
        """
        steps, ends, possible = self._plan(int(lengths.max(initial=0)))
        if not possible[lengths].all():
            raise ValueError(f"no text has {lengths[~possible[lengths]][0]} tokens")
        left, plan = lengths, []
        while left.any():
            plan.append(steps[_draw(stream, ends, left)])
            left = left - plan[-1]
        of = np.array(plan, np.int64).T.ravel()
        of = of[of > 0]  # (S,) the length of every sentence, text by text
        pattern = _draw(stream, self._pattern_ends, of)
        sizes = self._sizes[pattern]
        choices = (stream.integers(_WORD, sizes.shape) * sizes) >> 32  # (S, slots)

        starts = np.cumsum(of) - of
        cells = np.repeat(self._starts[pattern] - starts, of) + np.arange(of.sum())
        slots = np.repeat(np.arange(len(of)) * sizes.shape[1], of) + self._slots[cells]
        return self._texts[self._columns[cells] + choices.ravel()[slots]]

    def _plan(self, longest: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """How texts of up to `longest` tokens go on: lengths of the next sentence, grouped by the tokens
        left; where the draw of each ends; which numbers of tokens can be written at all.
        """
        size = 1 << longest.bit_length()
        if size not in self._plans:
            total = sum(self._weights.values())
            ways = [_UNIT**2]  # to write this many tokens, in proportion to what it comes to for long texts
            options = [[(0, 1)]]
            for left in range(1, size):
                options.append([(n, w * ways[left - n]) for n, w in self._weights.items() if n <= left])
                ways.append(sum(w for _, w in options[-1]) // total)
            steps = np.array([n for group in options for n, _ in group])
            ends = _ends([[w for _, w in group] for group in options])
            self._plans[size] = steps, ends, np.array(ways) > 0
        return self._plans[size]


def _ends(groups: list[list[int]]) -> Ints:
    """Where the draws of each option end: those of group g share out [g 2³², (g + 1) 2³²) by weight."""
    ends: list[int] = []
    for group, weights in enumerate(groups):
        total = sum(weights)
        ends += [group * _WORD + (_WORD * part // total if total else 0) for part in accumulate(weights)]
    return np.array(ends)


def _draw(stream: Stream, ends: Ints, groups: Ints) -> Ints:
    """An option of each of these groups, as an index into `ends`."""
    return np.searchsorted(ends, groups * _WORD + stream.integers(_WORD, len(groups)), side="right")


def _length(shape: Shape) -> int:
    return sum(part.length if isinstance(part, Slot) else 1 for part in shape)
