"""What holds for all natural-language probes: rows of segments, words held out, answers that are words."""

import re
import sys

import numpy as np
import pytest

from harness.registry import find_task, task_classes
from harness.streams import Stream
from harness.task import Role

NAMES = [name for name in task_classes() if name.startswith("nl-")]
package = sys.modules["_harness_tasks._english"]
SIZE = 64

every_text = pytest.mark.parametrize("name", NAMES)


def words(task, split, count=12, roles=tuple(Role)):
    """The words of some batches of different gaps at which these roles are."""
    found = set()
    for index in range(count):
        batch = task.batch(split, 0, task.min_gap + 20 * (index % 6), index, SIZE)
        found.update(batch.inputs[np.isin(batch.roles, roles)].tolist())
    vocabulary = task.inputs.words
    return {vocabulary[number] for number in found}


def sentences(task, split, count=12):
    """The sentences of some batches, of six words or more, before the question."""
    found, vocabulary = set(), task.inputs.words
    for index in range(count):
        batch = task.batch(split, 0, task.min_gap + 60, index, SIZE)
        for row in batch.inputs[: batch.roles[:, 0].tolist().index(Role.QUESTION)].T:
            found.update(" ".join(vocabulary[number] for number in row).split(" . "))
    return {sentence for sentence in found if sentence.count(" ") >= 5}


@every_text
def test_what_is_held_out_is_in_neither_training_nor_validation(name):
    task = find_task(f"{name}[held_out=true]")
    for_training, unseen = words(task, "train"), words(task, "test")
    shown = for_training | words(task, "validation")
    assert len(unseen - shown) > 200
    assert len(unseen) > 500
    assert len(for_training) > 1000
    filler = package.english("held out")
    held_out = {filler.words[n] for n in filler.write(Stream("all of it"), np.full(500, 300))}
    training = package.english("training").write(Stream("all of it"), np.full(500, 300))
    held_out -= {filler.words[n] for n in training}
    held_out &= {filler.words[n] for n in task.vocabulary.filler}
    assert len(held_out) > 300
    assert not held_out & shown
    assert len(held_out & unseen) > 150


@every_text
def test_sentences_of_the_test_are_unseen_and_of_many_kinds(name):
    task = find_task(f"{name}[held_out=true]")
    shown, unseen = sentences(task, "train") | sentences(task, "validation"), sentences(task, "test")
    assert len(unseen) > 1000
    assert len(unseen & shown) < 0.01 * len(unseen)


@every_text
def test_what_is_asked_and_what_it_hangs_on_is_learnt_in_training(name):
    task = find_task(f"{name}[held_out=true]")
    assert words(task, "test", roles=[Role.CUE]) <= words(task, "train", roles=[Role.CUE])
    asked, learnt = (words(task, split, 96, [Role.QUESTION]) for split in ("test", "train"))
    assert {word for word in asked if word.islower()} <= learnt  # all but names
    for split in ("train", "test"):
        targets = [task.batch(split, 0, task.min_gap, index, SIZE).targets for index in range(12)]
        assert len(np.unique(targets)) == task.output.size


@every_text
def test_without_held_out_the_splits_are_of_the_same_words(name):
    task = find_task(name)
    all_names = {word for word in words(task, "train", 40) if re.fullmatch(r"[A-Z]\w+", word)}
    assert {word for word in words(task, "test", 40) if re.fullmatch(r"[A-Z]\w+", word)} == all_names


@every_text
def test_the_answers_are_words_of_the_vocabulary_when_it_is_language_that_is_modelled(name):
    task, answer = find_task(f"{name}[objective=lm]"), find_task(name)
    assert answer.candidates is None
    assert task.candidates.dtype == np.int64
    assert [task.inputs.words[number] for number in task.candidates] == list(task.output.names)
    assert task.inputs.words[: answer.inputs.size] == answer.inputs.words
    assert set(task.inputs.words) == {*answer.inputs.words, *answer.output.names}
    assert len(set(task.inputs.words)) == task.inputs.size
    assert task.output == answer.output


def test_the_synthetic_tasks_have_no_candidates():
    assert all(find_task(name).candidates is None for name in task_classes() if name not in NAMES)


def test_a_row_is_its_segments_one_after_another():
    english, v = package.english(), package.Vocabulary(["Zoe", "was", "Basque", "."])
    assert v.words[-2:] == ("Basque", "Zoe")
    assert v.number["was"] not in v.filler
    born = np.tile(v.numbers(["Zoe", "was", "Basque", "."]), (2, 1))
    roles = np.full(born.shape, Role.PREFIX, np.int8)
    roles[:, 2] = Role.CUE
    inputs, roles = package.compose(
        Stream("test"),
        "all",
        package.Blank(np.array([0, 4])),
        package.Fixed(born, np.array([[True] * 4, [True, False, True, False]]), roles),
        package.Blank(np.array([5, 3])),
        package.Fixed(v.numbers(["Zoe"]), role=Role.QUESTION),
    )
    assert inputs.shape == roles.shape == (10, 2)
    first, second = ([v.words[number] for number in row] for row in inputs.T)
    assert first[:4] == ["Zoe", "was", "Basque", "."]
    assert second[4:6] == ["Zoe", "Basque"]
    assert {first[8], second[3], second[8]} == {"."}
    assert {*first[4:9], *second[:4], *second[6:9]} <= set(english.words)
    assert roles.T.tolist() == [[0, 0, 1, 3, 3, 3, 3, 3, 3, 4], [0, 0, 0, 0, 0, 1, 3, 3, 3, 4]]


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="rows have from 3 to 4 tokens"):
        package.compose(Stream("test"), "all", package.Blank(np.array([3, 4])))


def test_a_part_and_the_other_are_the_whole():
    pool = list(range(30))
    training, held_out = package.portion(pool, "training"), package.portion(pool, "held out")
    assert sorted(training + held_out) == package.portion(pool, "all") == pool
    assert len(held_out) == 10
