"""The notation of the grammar's files: what a line can become.

baker           the word itself; `a` becomes `an` where it must
{tree} {tree+}  a word or phrase of the class; its plural
(over|under)    one of these
[small|large]   one of these, or nothing
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product
from math import fsum, prod
from typing import NamedTuple

Words = tuple[str, ...]


class Slot(NamedTuple):
    """A place in a sentence for a member of a class that is `length` tokens long."""

    name: str
    length: int


Shape = tuple[str | Slot, ...]
"""A line with its brackets decided and the lengths of its phrases: everything but the choice of words."""


@dataclass(frozen=True)
class Class:
    """The words and phrases of a class by their length, and how likely each length is."""

    members: dict[int, tuple[Words, ...]]
    shares: dict[int, float]

    @classmethod
    def of(cls, weighted: Iterable[tuple[float, Words]]) -> "Class":
        """The class of these members, given with their weights."""
        members: dict[int, list[Words]] = defaultdict(list)
        weights: dict[int, float] = defaultdict(float)
        for weight, words in weighted:
            members[len(words)].append(words)
            weights[len(words)] += weight
        total = fsum(weights.values())
        return cls({n: tuple(members[n]) for n in members}, {n: weights[n] / total for n in members})


class Lexicon(dict[str, Class]):
    """Classes by name; `tree+` is the plural of `tree`."""

    def add_words(self, name: str, text: str) -> None:
        """Add words separated by spaces: `fox`, `child/children`, `post_office`."""
        both = [forms(word) for word in text.split()]
        for number, key in enumerate((name, f"{name}+")):
            self[key] = Class.of((1.0, tuple(word[number].split("_"))) for word in both)

    def add_phrases(self, name: str, lines: str) -> None:
        """Add phrases, written as lines of classes that are there already. Each line is equally likely."""
        self[name] = Class.of(self._phrases(lines))

    def _phrases(self, lines: str) -> Iterator[tuple[float, Words]]:
        for line in lines.strip().splitlines():
            for share, shape in self.shapes(line):
                fillings = list(product(*map(self.members, shape)))
                for filling in fillings:
                    yield share / len(fillings), with_articles(tuple(chain.from_iterable(filling)))

    def shapes(self, line: str) -> Iterator[tuple[float, Shape]]:
        """The shapes of a line and their shares, which add up to 1."""
        for share, tokens in _unbracketed(line):
            for chosen in product(*map(self._lengths, tokens)):
                yield share * prod(part for part, _ in chosen), tuple(token for _, token in chosen)

    def _lengths(self, token: str) -> list[tuple[float, str | Slot]]:
        if not token.startswith("{"):
            return [(1.0, token)]
        name = token[1:-1]
        return [(share, Slot(name, length)) for length, share in self[name].shares.items()]

    def members(self, part: str | Slot) -> tuple[Words, ...]:
        """What may stand for a part of a shape."""
        return ((part,),) if isinstance(part, str) else self[part.name].members[part.length]


def spelled_out(lines: str) -> list[Words]:
    """Everything that lines without classes can become.

    >>> spelled_out("(red|very blue) [old] hats")
    [('red', 'old', 'hats'), ('red', 'hats'), ('very', 'blue', 'old', 'hats'), ('very', 'blue', 'hats')]
    """
    return [tuple(words) for line in lines.strip().splitlines() for _, words in _unbracketed(line)]


def _unbracketed(line: str) -> Iterator[tuple[float, list[str]]]:
    """Every way to decide the brackets of a line, with its share."""
    choices: list[list[str]] = []
    for piece in re.split(r"(\[[^]]*\]|\([^)]*\))", line):
        inside = piece[1:-1].split("|") if piece[:1] in ("[", "(") else [piece]
        choices.append([*inside, *[""] * len(inside)] if piece.startswith("[") else inside)
    share = 1 / prod(map(len, choices))
    for decided in product(*choices):
        yield share, " ".join(decided).split()


def with_articles(words: Words) -> Words:
    """The words with every `a` in the form that the next word wants.

    >>> with_articles(("a", "old", "fox", "met", "a", "hare"))
    ('an', 'old', 'fox', 'met', 'a', 'hare')
    """
    return tuple(
        article(after) if word == "a" else word for word, after in zip(words, (*words[1:], ""), strict=True)
    )


_VOWEL_SOUND = re.compile(r"[aei]|o(?!ne)|u(?!ni[^mn]|s[eu])|honest|hour", re.IGNORECASE)


def article(word: str) -> str:
    """The indefinite article before a word.

    >>> [article(w) for w in ("apple", "house", "hour", "uniform", "unimportant", "ugly", "useless")]
    ['an', 'a', 'an', 'a', 'an', 'an', 'a']
    """
    return "an" if _VOWEL_SOUND.match(word) else "a"


def forms(word: str) -> tuple[str, str]:
    """A word as it stands in a list, and its plural.

    >>> forms("fox"), forms("child/children")
    (('fox', 'foxes'), ('child', 'children'))
    """
    one, _, many = word.partition("/")
    return one, many or plural(one)


def plural(noun: str) -> str:
    """The plural of a noun that follows the rules of spelling.

    >>> [plural(n) for n in ("tree", "box", "church", "daisy", "day")]
    ['trees', 'boxes', 'churches', 'daisies', 'days']
    """
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"
