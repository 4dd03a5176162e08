"""nl-agreement: nothing but the subject tells its number, and every clause agrees with itself."""

import re
import sys

import numpy as np
import pytest

from harness.checks.chance import at_chance, naive_bayes
from harness.registry import find_task
from harness.task import Batch, Role

TASK = find_task("nl-agreement")
module = sys.modules[type(TASK).__module__]
WORDS = module._vocabulary()
SIZE = 64
GAPS = (4, 16, 40)


def batches(gap, count, split="train"):
    return [TASK.batch(split, 0, gap, index, SIZE) for index in range(count)]


def numbers(batch, gap):
    """The numbers of the nouns after the subject (g, B), −1 for other words."""
    return WORDS.noun[batch.inputs[-gap - 1 : -1]]


def test_the_worked_example_of_the_docstring():
    found = re.search(r"…\s+(the .+?) ___.+?(\d+) tokens.+?answer is \"(\w+)\"", TASK.__doc__, re.DOTALL)
    words = WORDS.numbers([".", *found[1].split()])
    assert len(words) - 1 - words.tolist().index(WORDS.number["keys"]) - 1 == int(found[2])
    batch = Batch(words[:, None], np.zeros((1, 1)), np.array([len(words) - 1]), np.zeros((len(words), 1)))
    assert TASK.output.names[TASK.solve(batch)[0, 0]] == found[3]


@pytest.mark.parametrize("gap", GAPS)
def test_nouns_after_the_subject_are_right_half_of_the_time(gap):
    """The first of them, the last, and the number that most have."""
    first, last, most = [], [], []
    for batch in batches(gap, 100):
        nouns, answer = numbers(batch, gap), batch.targets[0]
        there = nouns >= 0
        assert there.any(axis=0).all()
        columns = np.arange(SIZE)
        first += (nouns[there.argmax(axis=0), columns] == answer).tolist()
        last += (nouns[gap - 1 - there[::-1].argmax(axis=0), columns] == answer).tolist()
        surplus = (nouns == 1).sum(axis=0) - (nouns == 0).sum(axis=0)
        most += ((surplus > 0) == answer)[surplus != 0].tolist()
    for guess in (first, last, most):
        assert at_chance(guess, 1 / 2)


@pytest.mark.parametrize("gap", GAPS)
def test_what_is_not_the_subject_does_not_tell_the_answer(gap):
    """Every token by its place, the bag of words around the subject, and the place of the query."""
    seen, new = batches(gap, 400), batches(gap, 150, "test")

    def answers(some):
        return np.concatenate([batch.targets[0] for batch in some])

    def around(batch):
        return np.delete(batch.inputs[-gap - 5 :], 3, axis=0).T  # the subject is the fourth of these

    def place(batch):
        return np.full((SIZE, 1), len(batch.inputs))

    for view in (around, place):
        guess = naive_bayes(np.concatenate([*map(view, seen)]), answers(seen), TASK.inputs.size, 2)
        assert at_chance(guess(np.concatenate([*map(view, new)])) == answers(new), 1 / 2), view

    counts = np.ones((2, TASK.inputs.size))
    for batch in seen:
        np.add.at(counts, (np.broadcast_to(batch.targets[0, :, None], around(batch).shape), around(batch)), 1)
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    right = [logs[:, around(batch)].sum(axis=2).argmax(axis=0) == batch.targets[0] for batch in new]
    assert at_chance(right, 1 / 2)


def test_what_may_be_a_subject_stands_in_clauses_and_in_the_filler_too():
    items, elsewhere = set(WORDS.groups[0].tolist()), set()
    for batch in batches(40, 60):
        elsewhere |= set(batch.inputs[batch.roles == Role.DECOY].tolist())
    assert items <= elsewhere


def test_every_word_is_of_one_number_and_stands_for_words_of_one_kind():
    assert len(np.concatenate(WORDS.groups)) == len(np.unique(np.concatenate(WORDS.groups)))
    forms = [module._nouns(name) for name in module.NOUNS]
    singular, plural = (WORDS.numbers([w for form in forms for w in form[n]]) for n in range(2))
    assert (WORDS.noun[singular] == 0).all()
    assert (WORDS.noun[plural] == 1).all()
    assert not {"is", "are", "was", "were", "and"} & {WORDS.words[n] for n in np.flatnonzero(WORDS.noun >= 0)}
    assert not {"is", "are"} & set(WORDS.words)


VERB = {
    form: number
    for word in module.WORDS.values()
    for both in word.split()
    if "/" in both
    for number, form in enumerate(both.split("/"))
}


def test_the_verb_of_every_clause_goes_with_its_own_subject():
    """In "which the old clerk who waits near the lamps has found" both verbs go with the clerk."""
    agreed = 0
    for batch in batches(60, 10):
        for row in batch.inputs.T:
            words = [WORDS.words[number] for number in row[-61:]]
            for clause in " ".join(words).split(" , "):
                own = None
                if not clause.startswith(
                    ("which", "as", "although", "or so", "about", "for", "if", "without")
                ):
                    continue
                for word in clause.removeprefix(", ").split():
                    if word == "and":
                        own = None
                    elif word in VERB:
                        assert VERB[word] == own, clause
                        agreed += 1
                    elif own is None and WORDS.noun[WORDS.number[word]] >= 0:
                        own = WORDS.noun[WORDS.number[word]]
    assert agreed > 1000


def test_every_part_reaches_every_gap_and_is_wide():
    for part, items, people, clauses in [
        ("all", 45, 60, 17),
        ("training", 30, 40, 12),
        ("held out", 30, 15, 6),
    ]:
        possible = module._clauses(part)._plan(200)[2]
        assert possible[module.SHORTEST : 200].all()
        assert not possible[1 : module.SHORTEST].any()
        assert module._pools(part).items.shape[1] >= items
        assert len(module._nouns("someone", part)[0]) >= people
        assert len(module.portion(module.CLAUSES.strip().splitlines(), part)) >= clauses


def test_nouns_and_clauses_of_the_test_are_unseen_where_they_are_held_out():
    task = find_task("nl-agreement[held_out=true]")

    def nouns(split, role):
        found = [task.batch(split, 0, 40, index, SIZE) for index in range(20)]
        return set(np.concatenate([batch.inputs[batch.roles == role] for batch in found]).tolist())

    shown = {n for split in ("train", "validation") for n in nouns(split, Role.DECOY)}
    subjects, decoys = (nouns("test", role) for role in (Role.CUE, Role.DECOY))
    assert subjects == nouns("train", Role.CUE) <= shown
    unseen = {WORDS.words[n] for n in decoys - shown}
    assert len(unseen) > 0.6 * len(decoys)
    assert {"banker", "poets"} <= unseen


def test_a_row_reads_as_described():
    states = "|".join(word for (word,) in module.lexicon()["state"].members[1])
    for gap in (4, 5, 6, 7, 8, 23, 50):
        batch = TASK.batch("test", 0, gap, 0, SIZE)
        for row in range(SIZE):
            spans = TASK.render(batch, row)
            text = " ".join(span.text for span in spans)
            place = r"(?: (?:near|behind|beside|opposite) the \w+)?"
            found = re.fullmatch(rf".* \. The (?:(?:{states}) )?(\w+){place} , ([^.]+) ,", text)
            assert [s.text for s in spans if s.role == Role.CUE] == [found[1]]
            assert spans[-1].answer == module.VERBS[WORDS.noun[WORDS.number[found[1]]]]
            assert [s.text for s in spans if s.role == Role.QUESTION] == [","]
