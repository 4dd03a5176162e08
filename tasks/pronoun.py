"""Who somebody was, and so whether it was she or he."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.streams import Ints, Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Fixed, Part, Text, Vocabulary, compose, portion, spelled_out

PRONOUNS = ("she", "he")
KIN = {
    "she": "aunt daughter godmother grandmother mother niece sister stepsister",
    "he": "brother father godfather grandfather nephew son stepbrother uncle",
}
NAMES = """
    Adrian Alex Avery Bailey Blake Cameron Casey Charlie Chris Dakota Dana Drew Emerson Finley Frankie
    Harley Hayden Jamie Jesse Jordan Kelly Kendall Kerry Kim Lee Leslie Logan Marley Morgan Parker Pat Quinn
    Reese Remy Riley Sam Shannon Sidney Skyler Stevie Taylor Terry
"""

# One sentence introduces both: my KIN NAME LINK my KIN NAME ENDING . These are the links and their endings:
ENDINGS = """
and (agreed|arrived|argued|hesitated|laughed|listened|waited)
and (came back|came home|kept bees|lived nearby|played cards|were early)
and (came to visit|grew old together|lived by the sea|never ate breakfast|ran a bakery|went on holiday)
and (had just come home|had never met before|lived near the bridge|stayed for a week|waited for the train)
and (grew tomatoes and other vegetables|sold fruit at the market|stayed until the next morning)
and (went to the same school|were neighbours for many years)
(met|helped|phoned) (again|daily|often|once|twice|yesterday)
(met|helped|phoned) (after lunch|at noon|in June|last week|on Friday|that evening)
(met|helped|phoned) (after the concert|at the station|before the wedding|near the market|in the park)
(met|helped|phoned) (after a long journey|during the last winter|for the first time|on the way home)
(met|helped|phoned) (after a quarrel with friends|every day before the exam|in front of the theatre)
"""
# Seven tokens each:
QUESTIONS = """
(then|later|so) NAME (picked up|put down|gave back) the (bag|basket|book|coat|letter|map|parcel) because
(at last|that evening|last night) NAME (closed|opened|painted|washed) the (car|door|gate|window) because
(after a while|in the end|soon after that) NAME (ate nothing|lay down|sat down|left early|slept late) because
(after a while|in the end|soon after that) NAME (stayed behind|went home) because
"""

SPREAD = 60
"""Places that the cue may have, one for all rows of a batch. The sentence begins earlier where the second
person is asked about: from its place it can be guessed who is, right 0.53 of the time."""
APART = 4
"""Tokens from one kinship to the other."""
ASKED = 6
"""Tokens of the question before the query."""


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names: (N,)
    kin: (2, K) of women and of men
    gender: (V,) that of a kinship, as an index into `PRONOUNS`; −1 for any other word
    """

    def __init__(self) -> None:
        kin, names = [KIN[pronoun].split() for pronoun in PRONOUNS], NAMES.split()
        sentences = [["my", *names, "."], *kin, *spelled_out(ENDINGS), *spelled_out(QUESTIONS)]
        super().__init__(word for words in sentences for word in words if not word.isupper())
        self.names, self.kin = self.numbers(names), self.numbers(kin)
        self.gender = np.full(len(self.words), -1)
        self.gender[self.kin] = [[0], [1]]


_vocabulary = cache(_Vocabulary)


class _Pools(NamedTuple):
    """What a part of the probe draws from.

    names: (N,)
    endings: (M, L) with the link; kept: which of the words there are
    questions: (K, 7), the place of the name being −1
    """

    names: Ints
    endings: Ints
    kept: NDArray[np.bool_]
    questions: Ints


@cache
def _pools(part: Part) -> _Pools:
    v = _vocabulary()
    endings = portion(sorted(spelled_out(ENDINGS), key=len), part)  # some of every length
    questions = portion(spelled_out(QUESTIONS), part)
    return _Pools(
        v.numbers(portion(NAMES.split(), part)),
        *v.phrases(endings),
        np.array([[v.number.get(word, -1) for word in words] for words in questions]),
    )


@dataclass(frozen=True)
class Pronoun(Text):
    """nl-pronoun: somebody is introduced as an aunt or as an uncle; later on, is it "she" or "he"?

        prefix  cue       decoy                        question
        … my    aunt Alex and my uncle Lee came home . in the end Alex sat down because ___

    There are 14 tokens between "aunt" and "because", and the answer is "she". The kinship tells a gender, the
    name does not. A woman and a man are introduced side by side, and either may be asked about: the gender
    mentioned first, or last, is right half of the time. The cue is the kinship of the one asked about. Their
    name belongs to it in sense, but no other in its place would leave a question with an answer.

    Since the two differ, the second name and its gender are enough to know the first, four tokens further
    back: that much shorter is the dependency where the first is asked about. Were they free to be alike, the
    gender mentioned last would be right three times in four. A cell trained at one gap alone may count
    instead of heeding the name, as in nl-birthplace.
    """

    name: ClassVar[str] = "nl-pronoun"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "remember of whom what was told, and refer to them by it"
    source: ClassVar[str] = (
        "after the schemas of Rudinger et al. 2018 (arXiv 1804.09301); here the gender is told"
    )

    expected_failures: ClassVar[Mapping[str, str]] = {
        "shortcuts": "of two genders the decoy's leaves one: four tokens nearer, no less to be held",
        "ablation": "of two genders the decoy's leaves one, whatever the cue is replaced by",
    }

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only introductions and questions use."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The pronouns."""
        return Classes(PRONOUNS)

    @property
    def min_gap(self) -> int:
        """The name, the other person, an ending of one word, full stop and question."""
        return 1 + APART + 1 + 1 + ASKED

    def chance(self, gap: int) -> float:
        """One of two."""
        return 1 / 2

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, two persons, filler, question, with the cue at the same place in all rows."""
        v, pools, rows = _vocabulary(), _pools(part), np.arange(size)
        before = APART + 3 + int(layout.integers(SPREAD, 1)[0])  # tokens before "my" and the cue
        asked = stream.balanced(2, size)  # about the first or the second
        answer = stream.balanced(2, size)
        gender = np.stack([answer ^ asked, 1 - (answer ^ asked)], axis=1)  # (B, 2)
        kin = v.kin[gender, stream.integers(v.kin.shape[1], (size, 2))]
        names = pools.names[stream.choose(len(pools.names), 2, size)]

        rest = gap - self.min_gap + 2 - pools.kept.sum(axis=1)  # filler, if the first is asked about
        fitting = np.flatnonzero((rest == 0) | (rest >= 3))
        ending = fitting[stream.integers(len(fitting), size)]
        question = pools.questions[stream.integers(len(pools.questions), size)]
        question = np.where(question < 0, names[rows, asked][:, None], question)
        my = np.full(size, v.number["my"])
        persons = [
            Fixed(
                np.stack([my, kin[:, at], names[:, at]], axis=1),
                role=np.where((asked == at)[:, None], [Role.PREFIX, Role.CUE, Role.PREFIX], Role.DECOY),
            )
            for at in range(2)
        ]
        link, words = pools.endings[ending, :1], pools.endings[ending, 1:]
        inputs, roles = compose(
            stream,
            part,
            Blank(before - APART * asked),
            persons[0],
            Fixed(link),
            persons[1],
            Fixed(words, pools.kept[ending, 1:]),
            Fixed(v.numbers(["."])),
            Blank(rest[ending] + APART * asked),
            Fixed(question, role=Role.QUESTION),
        )
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([len(inputs) - 1]), roles=roles)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The gender of the person whose name stands in the question."""
        v, text = _vocabulary(), batch.inputs.T
        gender, question = v.gender[text], text[:, batch.queries[0] - ASKED : batch.queries[0]]
        told = np.nonzero(gender >= 0)[1].reshape(-1, 2)  # (B, 2): where the kinships are, before the names
        asked = question[np.isin(question, v.names)]
        first = np.take_along_axis(text, told + 1, axis=1)[:, 0] == asked
        genders = np.take_along_axis(gender, told, axis=1)
        return np.where(first, genders[:, 0], genders[:, 1])[None]

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """Another kinship, of either gender; another name for the decoy; another word in filler. Nothing for
        the name of the one asked about and for the words that hold introduction and question together.
        """
        v, words = _vocabulary(), batch.inputs[:, row]
        word, role = words[t], batch.roles[t, row]
        if v.gender[word] >= 0:
            own = v.kin.ravel()
        elif word in v.names and role == Role.DECOY:
            own = v.names[~np.isin(v.names, words)]
        elif role in (Role.PREFIX, Role.FILLER) and word in v.filler:
            own = v.filler
        else:
            own = np.arange(0)
        return own[own != word]
