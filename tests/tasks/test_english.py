"""The filler of the natural-language probes: exact, fluent, fresh, and silent on what is asked."""

import importlib
import re
import sys
from collections import Counter
from itertools import pairwise
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.registry import task_classes
from harness.streams import Stream

task_classes()  # loads the folder of tasks
english_package = sys.modules["_harness_tasks._english"]
notation = importlib.import_module("_harness_tasks._english.notation")
FILLER = english_package.english()
COUNTRIES = english_package.read_csv("countries.csv")


def text(*lengths: int, key: str = "") -> str:
    written = FILLER.write(Stream("test", key), np.array(lengths))
    return " ".join(FILLER.words[index] for index in written)


@given(st.lists(st.sampled_from([0, *range(3, 200)]), min_size=1, max_size=20), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_every_length_is_met_by_whole_sentences(lengths, key):
    words = text(*lengths, key=str(key)).split()
    assert len(words) == sum(lengths)
    for length in lengths:
        own, words = words[:length], words[length:]
        assert not own or own[-1] == "."
        assert own[:1] != ["."]


@pytest.mark.parametrize("part", ["training", "held out"])
def test_a_part_of_the_filler_has_texts_of_every_length_and_numbers_its_words_alike(part):
    filler = english_package.english(part)
    assert filler.words == FILLER.words
    lengths = np.array([0, *range(3, 200)])
    written = [filler.words[n] for n in filler.write(Stream("test"), lengths)]
    assert len(written) == lengths.sum()
    assert all(written[end - 1] == "." for end in np.cumsum(lengths)[1:])


def test_no_length_but_one_and_two_is_missing():
    for length in (1, 2):
        with pytest.raises(ValueError, match=f"no text has {length} tokens"):
            FILLER.write(Stream("test"), np.array([5, length]))
    lengths = np.array([0, *range(3, 1500)])
    assert len(FILLER.write(Stream("test"), lengths)) == lengths.sum()


def test_a_text_does_not_depend_on_what_was_written_before():
    before = text(10, 20)
    text(3000)
    assert text(10, 20) == before


def test_the_vocabulary_is_wide_and_in_use():
    assert sum(word.isalpha() for word in FILLER.words) >= 1500
    assert set(text(*[1000] * 500).split()) == set(FILLER.words)


def test_the_filler_is_silent_on_countries_languages_and_persons():
    lines = Path(__file__).with_name("relatives.txt").read_text(encoding="utf-8").splitlines()
    named = {line.split()[0] for line in lines[1:]}
    assert named == {row["country"] for row in COUNTRIES}
    told = " ".join(lines[1:]).split()
    told += [row["language"] for row in COUNTRIES]
    told += [row["name"] for row in english_package.read_csv("names.csv")]
    assert not {word.lower() for word in told} & {word.lower() for word in FILLER.words}


def test_the_filler_tells_no_gender_and_no_season():
    telling = """he she him her his hers himself herself man woman men women boy girl boys girls king queen
        mother father brother sister aunt uncle son daughter wife husband spring summer autumn winter born"""
    assert not set(telling.split()) & set(FILLER.words)


def test_articles_fit_what_they_stand_before():
    consonants = {"uniform", "useful", "useless", "used", "usual", "one"}  # as they are said
    vowels = {"hour", "honest", "honour"}
    for this, following in pairwise(text(*[1000] * 300).split()):
        if this in ("a", "an"):
            vowel = (following[0] in "aeiou" and following not in consonants) or following in vowels
            assert this == ("an" if vowel else "a"), following


def test_sentences_are_fresh_and_come_from_no_visible_pool():
    sentences = [s.strip() for s in re.split(r"\.", text(*[1000] * 100)) if s.strip()]
    long = Counter(s for s in sentences if len(s.split()) >= 6)
    assert sum(long.values()) > 7_000
    assert sum(n - 1 for n in long.values()) < 0.01 * sum(long.values())
    assert Counter(sentences).most_common(1)[0][1] < 0.005 * len(sentences)


def test_a_text_has_the_probability_that_its_grammar_gives_it():
    lexicon = notation.Lexicon()
    lexicon.add_words("acted", "sang slept laughed")
    filler = english_package.Filler(lexicon, [(2.0, "we {acted} ."), (1.0, "they {acted} again .")])
    texts = filler.write(Stream("test"), np.full(20_000, 12)).reshape(-1, 12)
    # 3 + 3 + 3 + 3 has the probability (2/3)^4, 4 + 4 + 4 has (1/3)^3
    short = (texts == filler.words.index("we")).sum(axis=1)
    assert set(short) == {0, 4}
    assert within(np.mean(short == 4), 16 / 19, len(texts))
    verbs = texts[np.isin(texts, [filler.words.index(w) for w in ("sang", "slept", "laughed")])]
    for share in np.bincount(verbs)[np.unique(verbs)] / len(verbs):
        assert within(share, 1 / 3, len(verbs))


def within(share: float, expected: float, n: int) -> bool:
    """Whether a share of n is in the 99.9 % interval of what is expected."""
    return abs(share - expected) < 3.29 * sqrt(expected * (1 - expected) / n)


def test_brackets_and_classes_of_the_notation():
    lexicon = notation.Lexicon()
    lexicon.add_words("animal", "owl fox/foxes guinea_pig")
    lexicon.add_phrases("where", "at home\nnear a {animal}")
    shapes = list(lexicon.shapes("(a|the) [big] {animal+} slept [{where}|here] ."))
    assert sum(share for share, _ in shapes) == pytest.approx(1)
    assert ("the", notation.Slot("animal+", 2), "slept", "here", ".") in [shape for _, shape in shapes]
    assert lexicon["animal+"].members == {1: (("owls",), ("foxes",)), 2: (("guinea", "pigs"),)}
    assert lexicon["where"].members[3] == (("near", "an", "owl"), ("near", "a", "fox"))
    assert lexicon["where"].shares == pytest.approx({2: 1 / 2, 3: 1 / 3, 4: 1 / 6})
