"""Whether there was one or several, and so which form the verb has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role

from ._english import (
    Blank,
    Filler,
    Fixed,
    Lexicon,
    Part,
    Text,
    Vocabulary,
    compose,
    lexicon,
    portion,
)

VERBS = ("is", "are")

NOUNS = {
    "item": ("thing", "tool"),
    "place": ("building", "structure"),
    "someone": ("person", "scientist", "writer", "official"),
}
"""Classes of the filler's nouns. Subjects are items."""

# What may stand between the subject and its verb, over and over. `#` marks the subject of a clause and its
# verb, which are both in the singular or both in the plural. Items and places are in either.
CLAUSES = """
(like|unlike) the [{state}] {item} [{near} the {place}] ,
which the [{human}] {someone#} {has#} {lost} [{near} the {place}] ,
(besides|behind) the [{state}] {item} [{near} the {place}] ,
as the [{human}] {someone#} [{near} the {place}] {says#} ,
which the {someone#} {near} the {place} {has#} {lost} ,
which the [{human}] {someone#} [{near} the {place}] {admires#} ,
along with the [{state}] {item} ,
although the [{human}] {someone#} {near} the {place} {doubts#} it ,
or so the [{human}] {someone#} {says#} ,
according to the [{human}] {someone#} [{near} the {place}] ,
which the {someone#} who {lives#} {near} the {place} {has#} {lost} ,
if the {someone#} {near} the {place} {remembers#} correctly ,
together with the [{state}] {item} ,
about which the [{human}] {someone#} [{near} the {place}] {talks#} [every day|too often] ,
for which the [{human}] {someone#} {has#} (paid|searched|waited) ,
to the surprise of the [{human}] {someone#} [{near} the {place}] ,
which the {someone#} {has#} {lost} and the {someone} {near} the {place} has {lost} again ,
without which the {someone#} [{near} the {place}] {has#} little to do ,
"""
WORDS = {
    "near": "near behind beside opposite",
    "has": "has/have",
    "lost": "lost found sold bought hidden borrowed seen forgotten damaged repaired painted",
    "admires": "admires/admire wants/want likes/like remembers/remember needs/need hates/hate misses/miss",
    "says": "says/say thinks/think claims/claim believes/believe",
    "doubts": "doubts/doubt denies/deny",
    "lives": "lives/live works/work sleeps/sleep waits/wait",
    "remembers": "remembers/remember",
    "talks": "talks/talk worries/worry jokes/joke dreams/dream",
}
PHRASE = 3
"""Tokens of "near the {place}", which may follow the subject."""
SHORTEST = 4
"""Tokens of the shortest clause."""
SPREAD = 60
"""Places that the cue may have, one for all rows of a batch."""


def _lines(part: Part) -> Iterator[tuple[float, str]]:
    """The clauses in the notation of the filler, each of them equally likely."""
    for clause in portion(CLAUSES.strip().splitlines(), part):
        for plural in ("", "+"):
            yield 1 / 2, clause.replace("#", plural)


@cache
def _clauses(part: Part) -> Filler:
    """Texts made of clauses."""
    words = Lexicon(lexicon(part))
    for name, own in WORDS.items():
        words.add_words(name, own)
    for name, kinds in NOUNS.items():
        singular, plural = ("\n".join(f"{{{kind}{end}}}" for kind in kinds) for end in ("", "+"))
        if name == "someone":
            words.add_phrases("someone", singular)
            words.add_phrases("someone+", plural)
        else:
            words.add_phrases(name, f"{singular}\n{plural}")
    return Filler(words, _lines(part), () if part == "all" else _clauses("all").words)


def _nouns(name: str, part: Part = "all") -> list[list[str]]:
    """The nouns of one word: singulars, plurals."""
    words = lexicon(part)
    return [
        list(dict.fromkeys(word for kind in NOUNS[name] for (word,) in words[kind + end].members[1]))
        for end in ("", "+")
    ]


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    clauses: the numbers of the words of clauses, in the order that their grammar has
    noun: (V,) the number of a noun that clauses have, 0 for singular and 1 for plural; −1 for any other word
    groups: words that may stand for one another
    """

    def __init__(self) -> None:
        clauses, words = _clauses("all").words, lexicon()
        super().__init__([*clauses, "."])
        self.clauses = self.numbers(clauses)
        self.noun = np.full(len(self.words), -1)
        for number, plural in enumerate(("", "+")):
            for name in chain.from_iterable(NOUNS.values()):
                for members in words[name + plural].members.values():
                    self.noun[self.numbers([phrase[-1] for phrase in members])] = number
        items, places, persons = (self.numbers(_nouns(kind)) for kind in NOUNS)
        states = self.numbers(words["state"].members[1])[:, 0]
        self.groups = [items.ravel(), places.ravel(), *persons, states, self.filler]


_vocabulary = cache(_Vocabulary)


class _Pools(NamedTuple):
    """What a part of the probe draws from.

    items: (2, N) subjects, singulars and plurals; those that are held out are in clauses only
    states: (S,) adjectives
    near: (P, 3) "near the PLACE"
    """

    items: Ints
    states: Ints
    near: Ints


@cache
def _pools(part: Part) -> _Pools:
    v = _vocabulary()
    learnt: Part = "all" if part == "all" else "training"
    places = [place for nouns in _nouns("place", part) for place in nouns]
    near = [[word, "the", place] for word in WORDS["near"].split() for place in places]
    states = lexicon(part)["state"].members[1]
    return _Pools(v.numbers(_nouns("item", learnt)), v.numbers(states)[:, 0], v.numbers(near))


@dataclass(frozen=True)
class Agreement(Text):
    """nl-agreement: a subject, clauses in which others stand in the singular and the plural, then the verb.

        prefix  cue  decoys                                              question
        … the   keys , unlike the lamp , which the clerks have borrowed  ,        ___

    There are 10 tokens between "keys" and the last comma, and the answer is "are". The cue is the subject.
    Nouns in clauses are in either number, whatever that of the subject; their verbs go with subjects of their
    own, and nothing goes with this one. So the noun mentioned last is right half of the time, and so is what
    most nouns after the subject are. What may be a subject stands in clauses too: its place in the sentence
    tells which noun counts. A cell trained at one gap alone may count the tokens instead.
    """

    name: ClassVar[str] = "nl-agreement"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "hold the number of a subject while others go by"
    source: ClassVar[str] = "Linzen et al. 2016 (arXiv 1611.01368); Gulordava et al. 2018 (arXiv 1803.11138)"

    expected_failures: ClassVar[Mapping[str, str]] = {
        "mentions": "the subject is the first noun of its sentence; few of its attractors are of its kind",
    }

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only clauses use."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The forms of the verb."""
        return Classes(VERBS)

    @property
    def min_gap(self) -> int:
        """A comma and the shortest clause, whose own comma is the query."""
        return SHORTEST

    def chance(self, gap: int) -> float:
        """One of two."""
        return 1 / 2

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, subject, clauses, with the subject at the same place in all rows."""
        v, pools = _vocabulary(), _pools(part)
        before = 5 + int(layout.integers(SPREAD, 1)[0])  # tokens before the subject, its own words included
        answer = stream.balanced(2, size)
        subject = pools.items[answer, stream.integers(pools.items.shape[1], size)]
        state = pools.states[stream.integers(len(pools.states), size)]
        with_state = stream.integers(2, size)  # with an adjective, or without
        near = pools.near[stream.integers(len(pools.near), size)]
        with_near = stream.integers(2 if gap >= SHORTEST + PHRASE else 1, size)

        lengths = gap - PHRASE * with_near
        clauses, kept = np.zeros((size, gap), np.int64), np.arange(gap) < lengths[:, None]
        clauses[kept] = v.clauses[_clauses(part).write(stream, lengths)]
        inputs, roles = compose(
            stream,
            part,
            Blank(before - 1 - with_state),
            Fixed(v.numbers(["the"])),
            Fixed(state[:, None], with_state[:, None] == 1),
            Fixed(subject[:, None], role=Role.CUE),
            Fixed(near, with_near[:, None] == 1),
            Fixed(v.numbers([","])),
            Fixed(clauses, kept),
        )
        roles[(v.noun[inputs] >= 0) & (roles == Role.FILLER)] = Role.DECOY
        roles[-1] = Role.QUESTION
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([before + 1 + gap]), roles=roles)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The number of the first noun of the last sentence."""
        v, text = _vocabulary(), batch.inputs[: batch.queries[0]]
        since = np.cumsum((text == v.number["."])[::-1], axis=0)[::-1] == 0  # (T, B)
        first = ((v.noun[text] >= 0) & since).argmax(axis=0)
        return np.take_along_axis(v.noun[text], first[None], axis=0)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another thing or another place, in either number; another person in the same, since the verb of a
        clause goes with it; another adjective; another word of the filler. Nothing for any other word.
        """
        v, word = _vocabulary(), batch.inputs[t, row]
        own = next((group for group in v.groups if word in group), np.arange(0))
        return own[own != word]
