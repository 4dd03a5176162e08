"""Collocation: a word that a single word before it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.streams import Stream
from harness.task import Batch, Classes, Role

from ._english import Blank, Lines, Part, Text, Vocabulary, compose, first_names, fixed_words, pick

PLACES = {
    "sky": "clouds rainbows constellations",
    "ocean": "whales dolphins sharks",
    "nest": "eggs fledglings hatchlings",
    "aquarium": "goldfish seahorses guppies",
    "abbey": "monks friars abbots",
    "kennel": "hounds beagles dachshunds",
    "cemetery": "tombstones gravediggers mourners",
    "laboratory": "microscopes beakers pipettes",
    "courtroom": "jurors prosecutors defendants",
    "hangar": "aeroplanes helicopters gliders",
    "barracks": "sergeants corporals recruits",
    "cave": "bats stalactites stalagmites",
}
"""Where one comes upon what."""

NEAR = (  # at a gap of 1, 2, 3 and 4: one sentence, cue and question
    ("NAME saw the THINGS", "in the"),
    ("the THINGS", "were in the"),
    ("the THINGS", "were seen in the"),
    ("NAME looked for the THINGS", "and found them in the"),
)
LOOKED = (  # beyond: a sentence with the cue, filler, a question
    "NAME looked for the THINGS .",
    "NAME was looking for the THINGS .",
    "NAME went to look for the THINGS .",
    "NAME wanted to see the THINGS .",
    "NAME hoped to find the THINGS .",
    "NAME wished to see the THINGS .",
)
FOUND = (
    "NAME found them in the",
    "NAME soon found them in the",
    "at last NAME found them in the",
    "in the end NAME found them in the",
)

SPREAD = 30
"""Places that the cue may have, one for all rows of a batch."""


class _Vocabulary(Vocabulary):
    """The words of the probe, and what they are.

    names: (n,)
    cues: (places, c) what is found at each place
    place: (V,) where a word is found, −1 for words that are no cue
    """

    def __init__(self) -> None:
        cues = [words.split() for words in PLACES.values()]
        heads, questions = zip(*NEAR, strict=True)
        fixed = fixed_words(*heads, *LOOKED, *questions, *FOUND)
        super().__init__(fixed.union(first_names(), *cues), without=["clouds"])
        self.names = self.numbers(first_names())
        self.cues = self.numbers(cues)
        self.place = np.full(len(self.words), -1)
        self.place[self.cues] = np.arange(len(cues))[:, None]
        self.heads = Lines(self, [*heads, *LOOKED], cue=["THINGS"])
        self.questions = Lines(self, [*questions, *FOUND])


_vocabulary = cache(_Vocabulary)


@dataclass(frozen=True)
class Clouds(Text):
    """nl-clouds: somebody looked for clouds and found them where they always are.

        … Nora was looking for the [clouds] . The baker sliced two loaves . <Nora found them in the>
        gap 11, answer sky

    The control for short range: there is nothing to bind and no decoy; one word tells the answer wherever it
    stands, and three words tell each of the twelve. Up to a gap of four, cue and question are one sentence
    ("Nora saw the clouds in the ___"), which every cell should complete. What it loses with longer gaps, it
    has forgotten.
    """

    name: ClassVar[str] = "nl-clouds"
    version: ClassVar[int] = 2
    ability: ClassVar[str] = "complete a collocation"
    source: ClassVar[str] = "Olah 2015, Understanding LSTM Networks (the clouds are in the sky)"
    expected_failures: ClassVar[Mapping[str, str]] = {
        "mentions": "the short-range control: a row has one collocation, and nothing to confuse it with",
    }

    @property
    def vocabulary(self) -> _Vocabulary:
        """The words of the filler, then those that only the collocations use."""
        return _vocabulary()

    @property
    def output(self) -> Classes:
        """The places."""
        return Classes(tuple(PLACES))

    @property
    def min_gap(self) -> int:
        """The word "in"."""
        return 1

    def chance(self, gap: int) -> float:
        """One of twelve places."""
        return 1 / len(PLACES)

    def sample_part(self, stream: Stream, layout: Stream, gap: int, size: int, part: Part) -> Batch:
        """Filler, a sentence with the cue, filler, the question; or one sentence with both."""
        v = _vocabulary()
        before = v.heads.before.max() + 3 + layout.integers(SPREAD, 1)[0]  # tokens before the cue
        if gap <= len(NEAR):
            question, rest, head = gap - 1, 0, np.full(size, gap - 1)
        else:
            rests = gap - v.questions.lengths
            fits = np.flatnonzero((rests == 0) | (rests >= 3))
            fits = fits[fits >= len(NEAR)]
            question = int(fits[layout.integers(len(fits), 1)[0]])
            rest, head = rests[question], pick(stream, v.heads.all[len(NEAR) :], part, size)
        answer = stream.balanced(len(PLACES), size)
        things = v.cues[answer, stream.integers(v.cues.shape[1], size)]
        drawn = {"THINGS": things, "NAME": pick(stream, v.names, part, size)}
        inputs, roles = compose(
            stream,
            part,
            Blank(before - v.heads.before[head]),
            v.heads.fill(head, drawn),
            Blank(np.full(size, rest)),
            v.questions.fill(np.full(size, question), drawn, Role.QUESTION),
            without=v.without,
        )
        return Batch(inputs=inputs, targets=answer[None], queries=np.array([before + 1 + gap]), roles=roles)

    def solve(self, batch: Batch) -> NDArray[Any]:
        """The place of the one word that is found anywhere."""
        return _vocabulary().place[batch.inputs].max(axis=0, keepdims=True)

    def alternatives(self, batch: Batch, row: int, t: int) -> NDArray[Any]:
        """What is found elsewhere for what is found here, another word of filler for a word of filler."""
        v, word = _vocabulary(), batch.inputs[t, row]
        if v.place[word] >= 0:
            return np.flatnonzero((v.place >= 0) & (v.place != v.place[word]))
        return v.filler[v.filler != word] if word in v.filler else np.arange(0)
