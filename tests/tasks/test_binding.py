"""gap-recall and gap-hop: against an interpreter of one row; who is asked and what else is there."""

import numpy as np
import pytest

from harness.checks.chance import at_chance
from harness.registry import find_task
from harness.task import Role

TEXTS = ["gap-recall", "gap-recall[overwrite=true]", "gap-recall[pairs=8]", "gap-hop", "gap-hop[hops=4]"]
NOISE = set("pqrstuvw")
every = pytest.mark.parametrize("task", [find_task(text) for text in TEXTS], ids=lambda task: task.id)


def bindings(task, row):
    """The bindings of a row in their order, each a name and what it was bound to; and the name asked for."""
    *words, asked = (task.inputs.words[token] for token in row)
    said = [word for word in words if word not in NOISE]
    assert "".join(said) in "".join(words)  # in one piece
    return list(zip(said[::2], said[1::2], strict=True)), asked


def value(assigned, asked):
    """The value of a name, when all has been assigned."""
    values = {}
    for target, source in assigned:
        values[target] = values.get(source, source)
    return values[asked]


@every
@pytest.mark.parametrize("extra", [0, 1, 30])
def test_the_answer_is_what_an_interpreter_finds(task, extra):
    batch = task.batch("train", 0, task.min_gap + extra, 0, 200)
    for row, answer in zip(batch.inputs.T, batch.targets[0], strict=True):
        assigned, asked = bindings(task, row)
        assert value(assigned, asked) == task.output.names[answer]


@every
def test_the_place_of_the_cue_differs_between_batches_and_not_between_repetitions(task):
    gap = task.min_gap + 3
    lengths = [[len(task.batch("train", r, gap, index, 4).inputs) for index in range(200)] for r in (0, 1)]
    assert lengths[0] == lengths[1]
    assert len(set(lengths[0])) == 16


@pytest.mark.parametrize("pairs", [2, 3, 8])
def test_every_place_among_the_pairs_is_asked_equally_often(pairs):
    task = find_task(f"gap-recall[pairs={pairs}]")
    batch = task.batch("train", 0, task.min_gap + 2, 0, 60)
    places = []
    for row in batch.inputs.T:
        assigned, asked = bindings(task, row)
        names = [name for name, _ in assigned]
        assert len(set(names)) == pairs
        places.append(names.index(asked))
    assert np.ptp(np.bincount(places, minlength=pairs)) <= 1


def test_overwritten_values_come_first_and_are_right_as_often_as_chance():
    task = find_task("gap-recall[overwrite=true]")
    batch = task.batch("train", 0, 9, 0, 4000)
    stale, same_order = [], []
    for row, answer in zip(batch.inputs.T, batch.targets[0], strict=True):
        assigned, asked = bindings(task, row)
        old, new = dict(assigned[:3]), dict(assigned[3:])
        assert set(old) == set(new)
        assert len(old) == 3
        stale.append(old[asked] == task.output.names[answer])
        same_order.append(list(old) == list(new))
    assert at_chance(stale, 1 / 8)
    assert at_chance(same_order, 1 / 6)


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_two_chains_take_turns_and_either_is_last_half_of_the_time(hops):
    task = find_task(f"gap-hop[hops={hops}]")
    batch = task.batch("train", 0, 9, 0, 4000)
    asked_last, last_value = [], []
    for row in batch.inputs.T:
        assigned, asked = bindings(task, row)
        names = [target for target, _ in assigned]
        assert len(set(names)) == len(assigned) == 2 * hops
        chains = [
            [target for target in names if is_asked(assigned, target, asked) is wanted]
            for wanted in (True, False)
        ]
        assert [len(chain) for chain in chains] == [hops, hops]
        assert all(
            len({chain[turn] for chain in chains} & set(names[2 * turn : 2 * turn + 2])) == 2
            for turn in range(hops)
        )
        asked_last.append(names[-1] == asked)
        last_value.append(is_asked(assigned, names[1], asked))
    assert abs(sum(asked_last) - 2000) == 0
    assert at_chance(last_value, 1 / 2)


def is_asked(assigned, target, asked):
    """Whether a variable is of the chain that leads to the one asked for."""
    sources = dict(assigned)
    while asked in sources:
        if asked == target:
            return True
        asked = sources[asked]
    return False


def test_every_value_stands_in_both_chains_equally_often():
    task = find_task("gap-hop")
    batch = task.batch("train", 0, 9, 0, 800)
    assert (np.bincount(batch.targets[0]) == 100).all()
    rows, values = batch.inputs.T, batch.targets[0]
    both = np.bincount(rows[rows < 8], minlength=8)
    assert (both == 200).all()
    other = rows[rows < 8].reshape(800, 2).sum(axis=1) - values
    assert at_chance(other == values, 1 / 8)


@every
def test_names_and_values_stand_in_bindings_only(task):
    batch = task.batch("train", 0, task.min_gap + 20, 0, 64)
    said = batch.inputs < 16
    parts = np.isin(batch.roles, [Role.CUE, Role.DECOY])
    assert (said >= parts).all()
    asked = batch.roles == Role.QUESTION
    own = said & ~parts & ~asked  # the names of the cue
    cues = (batch.roles == Role.CUE).sum(axis=0)
    assert (own.sum(axis=0) == cues).all()
    assert (own[:-1] == (batch.roles == Role.CUE)[1:]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [("gap-recall[pairs=1]", "pairs must be 2 to 8"), ("gap-hop[hops=5]", "hops must be 1 to 4")],
)
def test_more_names_than_there_are_is_refused(text, message):
    with pytest.raises(Exception, match=message):
        find_task(text)
