"""Where somebody was born, and so what they grew up speaking."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import lcm
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Fixed, Part, Text, Vocabulary, compose, portion, read_csv

# A birth is told in four parts and a full stop. Words in capitals are drawn.
INTRODUCTION = ("a", "KIND", "named")  # with the option `pronoun` only
HEAD = ("NAME", "was", "born", "in", "COUNTRY")
FORMS = [
    tuple(form.split()) for form in ("", "in YEAR", "in the SEASON of YEAR", "in the PART SEASON of YEAR")
]
BIRTH = (*INTRODUCTION, *HEAD, *FORMS[-1], ".")

QUESTION = ("grew", "up", "speaking")
"""What follows the name, or the pronoun, of the one who is asked about."""

DRAWN = {
    "KIND": ("girl", "boy"),
    "PART": ("early", "late"),
    "SEASON": ("spring", "summer", "autumn", "winter"),
    "YEAR": tuple(map(str, range(1950, 2010))),
}
PRONOUNS = ("she", "he")

BETWEEN = (0, 3)
"""Tokens of filler that may stand between the two births."""
SPREAD = 60
"""Places that the cue may have, one for all rows of a batch. The fewer there are, the better can be guessed
from the places of the births who will be asked about: right 0.62 of the time with 60, 0.75 with 30."""


@cache
def _countries() -> dict[str, list[str]]:
    """The countries of each language."""
    countries: dict[str, list[str]] = {}
    for row in read_csv("countries.csv"):
        countries.setdefault(row["language"], []).append(row["country"])
    return countries


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names: (2, n) girls' and boys'
    countries: (L, c) those of each language, all of them equally often
    language: (V,) the language of a country, −1 for any other word
    """

    def __init__(self) -> None:
        people, countries = read_csv("names.csv"), list(_countries().values())
        names = [[row["name"] for row in people if row["gender"] == gender] for gender in ("female", "male")]
        fixed = {word for word in (*BIRTH, *QUESTION, ",") if not word.isupper()}
        super().__init__(fixed.union(PRONOUNS, *DRAWN.values(), *names, *countries))
        width = lcm(*map(len, countries))
        self.names = self.numbers(names)
        self.countries = self.numbers([each * (width // len(each)) for each in countries])
        self.language = np.full(len(self.words), -1)
        self.language[self.countries] = np.arange(len(countries))[:, None]


_vocabulary = cache(_Vocabulary)


@dataclass(frozen=True)
class Birthplace(Text):
    """nl-birthplace: two persons were born in two countries; what did one of them grow up speaking?

        prefix                          cue                                     decoy
        … Anna was born in France in the summer of 1997 . Hugo was born in Japan .
        … Anna grew up speaking ___

    The cue is the country of the person asked about. Their name belongs to it in sense, but no other name in
    its place would leave a question with an answer. Either birth may come first, and until the question they
    look alike: the same forms, one soon after the other, the bulk of the filler after both. So recency is
    right half of the time, and so is the first country mentioned. A cell trained at one gap alone may count
    instead of heeding the name, since the cue is always the country so many tokens back. (A GRU does, at
    gap 16: with the other name in the question its answer stays.) Many gaps leave it the name.

    pronoun: a girl and a boy, introduced as such; the question says "She" or "He"
    """

    name: ClassVar[str] = "nl-birthplace"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "bind what was told to the one it was told of"
    source: ClassVar[str] = "Olah 2015, Understanding LSTM Networks; countries and languages: Unicode CLDR"

    pronoun: bool = False

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only births and questions use."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The languages."""
        return Classes(tuple(_countries()))

    @property
    def _head(self) -> int:
        """Tokens of a birth before its country."""
        return len(HEAD) - 1 + (len(INTRODUCTION) if self.pronoun else 0)

    @property
    def _birth(self) -> int:
        """Tokens of the shortest birth: head, country, full stop."""
        return self._head + 2

    @property
    def min_gap(self) -> int:
        """Full stop, shortest birth and question, and two tokens more: there is no way to add one alone."""
        return 1 + self._birth + len(QUESTION) + 2

    def chance(self, gap: int) -> float:
        """One of the languages but the other person's, who never has the same."""
        return 1 / (len(_countries()) - 1)

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, birth, filler, birth, filler, question, with the cue at the same place in all rows."""
        v, rows = _vocabulary(), np.arange(size)
        languages, each = v.countries.shape
        before = self._birth + 3 + int(layout.integers(SPREAD, 1)[0])  # tokens before the birth asked about
        plans = self._plans(gap, before)
        *forms, between = plans[stream.integers(len(plans), size)].T

        asked = stream.balanced(2, size)  # about the first birth or the second
        is_asked = np.stack([asked == 0, asked == 1])  # (2, B): the births in their order, here and below
        answer = stream.balanced(languages, size)
        other = (answer + 1 + stream.integers(languages - 1, size)) % languages
        countries = v.countries[np.where(is_asked, answer, other), stream.integers(each, (2, size))]
        genders, names = self._people(stream, size, part)
        births, kept = self._births(stream, np.array(forms), genders, names, countries)
        roles = np.where(is_asked[..., None], Role.PREFIX, Role.DECOY) + np.zeros(births.shape, np.int8)
        roles[..., len(INTRODUCTION) + len(HEAD) - 1][is_asked] = Role.CUE

        cue = before + self._head
        lengths = kept.sum(axis=2)
        lead = np.where(is_asked[0], before, before - lengths[0] - between)
        rest = cue + 1 + gap - len(QUESTION) - lead - lengths[0] - between - lengths[1]
        subject = (v.numbers(PRONOUNS)[genders] if self.pronoun else names)[asked, rows]
        inputs, roles = compose(
            stream,
            part,
            Blank(lead),
            Fixed(births[0], kept[0], roles[0]),
            Blank(between),
            Fixed(births[1], kept[1], roles[1]),
            Blank(rest),
            Fixed(subject[:, None], role=Role.QUESTION),
            Fixed(v.numbers(QUESTION), role=Role.QUESTION),
        )
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([cue + 1 + gap]), roles=roles)

    def _plans(self, gap: int, before: int) -> Ints:
        """The forms of the first and the second birth and the filler between them, such that all rests fit,
        whichever of the two is asked about: (plans, 3).
        """
        question = 1 + len(QUESTION)

        def fits(n: int) -> bool:
            return n == 0 or n >= 3

        return np.array(
            [
                (first, second, between)
                for first, second, between in product(range(len(FORMS)), range(len(FORMS)), BETWEEN)
                if fits(before - self._birth - len(FORMS[first]) - between)
                and fits(gap - len(FORMS[second]) - question)
                and fits(gap - len(FORMS[first]) - between - self._birth - len(FORMS[second]) - question)
            ]
        )

    def _people(self, stream: Stream, size: int, part: Part) -> tuple[Ints, Ints]:
        """Genders and names (2, B) of the first and the second person."""
        names = _vocabulary().names
        names = names[:, portion(range(names.shape[1]), part)]
        if self.pronoun:
            girl_first = stream.integers(2, size)
            genders = np.stack([1 - girl_first, girl_first])
            return genders, names[genders, stream.integers(names.shape[1], (2, size))]
        genders, number = np.divmod(stream.choose(names.size, 2, size).T, names.shape[1])
        return genders, names[genders, number]

    def _births(
        self, stream: Stream, forms: Ints, genders: Ints, names: Ints, countries: Ints
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Births in their longest form, (2, B, words), and which of the words are there."""
        v = _vocabulary()
        drawn = {word: v.numbers(own)[stream.integers(len(own), forms.shape)] for word, own in DRAWN.items()}
        drawn |= {"KIND": v.numbers(DRAWN["KIND"])[genders], "NAME": names, "COUNTRY": countries}
        words = [drawn[w] if w in drawn else np.full(forms.shape, v.number[w]) for w in BIRTH]
        kept = [
            [self.pronoun] * len(INTRODUCTION) + [True] * len(HEAD) + [w in form for w in FORMS[-1]] + [True]
            for form in FORMS
        ]
        return np.stack(words, axis=-1), np.array(kept)[forms]

    def solve(self, batch: Batch) -> NDArray[Any]:
        """Find which of the two births is of the one asked about, by name or by "girl" and "boy"."""
        v, query = _vocabulary(), batch.queries[0]
        text = batch.inputs[: query - len(QUESTION)].T  # (B, T)
        subject = batch.inputs[query - len(QUESTION)]
        known = v.names.ravel()
        if self.pronoun:
            known = v.numbers(DRAWN["KIND"])
            subject = known[(subject == v.number[PRONOUNS[1]]).astype(int)]
        languages = v.language[text]
        spoken = languages[languages >= 0].reshape(-1, 2)
        introduced = text[np.isin(text, known)].reshape(-1, 2)
        return np.where(introduced[:, 0] == subject, spoken[:, 0], spoken[:, 1])[None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another word of the same kind, as long as the row keeps its sense: persons differ in language, name
        and, with `pronoun`, gender; the one asked about by name keeps it. Nothing for the words that hold the
        births and the question together.
        """
        v, words = _vocabulary(), batch.inputs[:, row]
        word, role = words[t], batch.roles[t, row]
        if role == Role.QUESTION:
            return np.arange(0)
        if v.language[word] >= 0:
            return np.flatnonzero((v.language >= 0) & ~np.isin(v.language, v.language[words]))
        for gender in v.names:
            if word in gender and (self.pronoun or role == Role.DECOY):
                own = gender if self.pronoun else v.names.ravel()
                return own[~np.isin(own, words)]
        times = [v.numbers(DRAWN[kind]) for kind in ("PART", "SEASON", "YEAR")]
        own = next((group for group in [*times, v.filler] if word in group), np.arange(0))
        return own[own != word]
