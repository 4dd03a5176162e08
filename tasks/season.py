"""The season in which somebody did something, and so what it was like then."""

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Lines, Part, Text, Vocabulary, compose, first_names, fixed_words, portion

TIMES = {
    "SEASON": ("spring", "summer", "autumn", "winter"),
    "MONTH": (
        "March April May",
        "June July August",
        "September October November",
        "December January February",
    ),
    "FEAST": ("Easter", "midsummer", "Halloween", "Christmas"),
}
"""What tells each of the four seasons."""

FORMS = (
    "NAME VERB in MONTH .",
    "NAME VERB at FEAST .",
    "NAME VERB one SEASON .",
    "NAME VERB in MONTH YEAR .",
    "NAME VERB in the SEASON .",
    "NAME VERB at FEAST in YEAR .",
    "NAME VERB in the SEASON of YEAR .",
)
"""How it is told, in every length from the shortest to three tokens more."""

VERBS = ("arrived", "left", "returned", "married", "retired", "emigrated")
YEARS = tuple(map(str, range(1950, 2010)))

ANSWERS = {
    "when NAME VERB , the trees were": ("budding", "green", "golden", "bare"),
    "when NAME VERB , the weather was": ("mild", "hot", "foggy", "freezing"),
    "when NAME VERB , the villagers were": ("sowing", "swimming", "harvesting", "skiing"),
}
"""What is asked, and the answers in each season."""
SEASONS = 4
NAME = 5
"""Tokens from the name in a question to its last."""

RELATIVES = """snow snowed snowy snowdrop snowplough blizzard hailed icy frost frosty froze frozen heat heated
    heater cold chilly humid sunny warm harvest holiday bloomed blossom bud crocus daffodil tulip primrose
    bluebell sunflower pumpkin cuckoo leaf leaves buds withered hay skier skaters swimmers swimmer picnic"""
"""Words of the filler that go with a season; it does without them, and without times and answers."""

BETWEEN = (0, 3)
"""Tokens of filler that may stand between the two sentences."""
SPREAD = 60
"""Places that the cue may have, one for all rows of a batch."""


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names, verbs, years: (n,)
    times: by kind, those of each season: (4, c)
    season: (V,) of a time, −1 for any other word
    """

    def __init__(self) -> None:
        times = {kind: [words.split() for words in own] for kind, own in TIMES.items()}
        told = {word for own in times.values() for words in own for word in words}
        answers = {word for own in ANSWERS.values() for word in own}
        fixed = fixed_words(*FORMS, *ANSWERS)
        super().__init__(
            fixed.union(told, VERBS, YEARS, first_names()), without=told.union(answers, RELATIVES.split())
        )
        self.names, self.verbs, self.years = map(self.numbers, (first_names(), VERBS, YEARS))
        self.times = {kind: self.numbers(own) for kind, own in times.items()}
        self.season = np.full(len(self.words), -1)
        for own in self.times.values():
            self.season[own] = np.arange(SEASONS)[:, None]
        self.forms = Lines(self, FORMS, cue=TIMES)
        self.questions = Lines(self, tuple(ANSWERS))


_vocabulary = cache(_Vocabulary)


@dataclass(frozen=True)
class Season(Text):
    """nl-season: two persons did something in two seasons; what was it like when one of them did?

        … Anna returned in the [summer] of 1997 . {Hugo returned at Christmas .} The gate broke again .
        <When Anna returned , the trees were>
        gap 19, answer green

    Five words tell each season: its own name, its months, a feast; and each has three answers, of which the
    question chooses one: the trees, the weather, the work. So it is the season that has to be held, or the
    word. The cue is that word. The name belongs to it in sense, but no other in its place would leave a
    question with an answer. Either person may come first, and until the question they look alike. So recency
    is right half of the time, and so is the first season mentioned. The seasons are those of the north.
    """

    name: ClassVar[str] = "nl-season"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "infer from a category, bound to the one it was told of"
    source: ClassVar[str] = "after Olah 2015, Understanding LSTM Networks"

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that the probe alone uses."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """Trees, weather and work, each of the four seasons."""
        return Classes(tuple(word for own in ANSWERS.values() for word in own))

    @property
    def min_gap(self) -> int:
        """Full stop, the shortest sentence of the other person, the question but its last word."""
        return 1 + int(_vocabulary().forms.lengths.min()) + self._asking

    @property
    def _asking(self) -> int:
        """Tokens of the question before its last."""
        return int(_vocabulary().questions.lengths[0]) - 1

    def chance(self, gap: int) -> float:
        """The question leaves four answers, and the other person's season is never the same."""
        return 1 / (SEASONS - 1)

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, two sentences, filler, the question; the cue at the same place in all rows."""
        v, rows = _vocabulary(), np.arange(size)
        lengths, heads = v.forms.lengths, v.forms.before
        before = heads.max() + lengths.max() + max(BETWEEN) + 3  # tokens before the cue
        before += layout.integers(SPREAD, 1)[0]
        plans = self._plans(gap)
        first, second, between = plans[stream.integers(len(plans), size)].T

        asked = stream.balanced(2, size)  # about the first or the second
        answer = stream.balanced(len(ANSWERS) * SEASONS, size)
        question, season = np.divmod(answer, SEASONS)
        other = (season + 1 + stream.integers(SEASONS - 1, size)) % SEASONS
        names = self._names(stream, part, size)
        verb = v.verbs[stream.integers(len(v.verbs), size)]
        sentences = []
        for form, name, mine in zip((first, second), names, (asked == 0, asked == 1), strict=True):
            told = np.where(mine, season, other)
            drawn = {kind: own[told, stream.integers(own.shape[1], size)] for kind, own in v.times.items()}
            drawn |= {"NAME": name, "VERB": verb, "YEAR": v.years[stream.integers(len(v.years), size)]}
            sentences.append(v.forms.fill(form, drawn, np.where(mine, Role.PREFIX, Role.DECOY)))
        lead = before - np.where(asked == 0, heads[first], heads[second] + lengths[first] + between)
        rest = before + 1 + gap - self._asking - lead - lengths[first] - between - lengths[second]
        inputs, roles = compose(
            stream,
            part,
            Blank(lead),
            sentences[0],
            Blank(between),
            sentences[1],
            Blank(rest),
            v.questions.fill(question, {"NAME": names[asked, rows], "VERB": verb}, Role.QUESTION),
            without=v.without,
        )
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([before + 1 + gap]), roles=roles)

    def _plans(self, gap: int) -> Ints:
        """The forms of the two sentences and the filler between them, such that the rest fits, whichever of
        the two is asked about: (plans, 3).
        """
        forms = _vocabulary().forms
        n = len(FORMS)
        first, second, between = np.array(list(product(range(n), range(n), BETWEEN))).T
        tails = forms.lengths - forms.before - 1
        rests = gap - self._asking - tails[np.stack([first, second])]
        rests[0] -= between + forms.lengths[second]
        fits = ((rests == 0) | (rests >= 3)).all(axis=0)
        return np.stack([first, second, between], axis=1)[fits]

    def _names(self, stream: Stream, part: Part, size: int) -> Ints:
        """Names (2, B) of the first and the second person, who are two."""
        names = _vocabulary().names
        names = names[portion(range(len(names)), part)]
        return names[stream.choose(len(names), 2, size).T]

    def solve(self, batch: Batch) -> NDArray[Any]:
        """Find which of the two seasons is of the one asked about, and what of it is asked."""
        v, query = _vocabulary(), batch.queries[0]
        text, asked = batch.inputs[: query - NAME].T, batch.inputs[query - NAME]
        seasons = v.season[text]
        seasons = seasons[seasons >= 0].reshape(-1, 2)
        names = text[np.isin(text, v.names)].reshape(-1, 2)
        season = np.where(names[:, 0] == asked, seasons[:, 0], seasons[:, 1])
        subjects = v.numbers([question.split()[-2] for question in ANSWERS])
        question = (batch.inputs[query - 1] == subjects[:, None]).argmax(axis=0)
        return (question * SEASONS + season)[None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another word of the same kind, as long as the row keeps its sense: the two persons differ in name
        and season, and the one asked about keeps the name. Nothing for the words that hold it together.
        """
        v, words = _vocabulary(), batch.inputs[:, row]
        word, role = words[t], batch.roles[t, row]
        if role == Role.QUESTION:
            return np.arange(0)
        for own in v.times.values():
            if word in own:
                return own[~np.isin(v.season[own], v.season[words])]
        if word in v.names and role == Role.DECOY:
            return v.names[~np.isin(v.names, words)]
        own = next((group for group in (v.years, v.filler) if word in group), np.arange(0))
        return own[own != word]
