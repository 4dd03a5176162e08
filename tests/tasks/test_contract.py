"""What every registered task must keep to.

A new task or version needs its golden hash: `python -m tests.tasks.test_contract` adds what is missing in
golden.json and never changes what is there.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.ids import Id
from harness.registry import find_task, task_classes
from harness.task import SPLITS, Batch, Classes, Reals, Role, Task, Tokens

VARIANTS = [
    "gap-add[variant=hochreiter]",
    "gap-bracket[depth=1]",
    "gap-copy[filler=blank]",
    "gap-copy[payload=5]",
    "gap-hop[hops=4]",
    "gap-order[symbols=3]",
    "gap-parity[additions=3,modulus=5]",
    "gap-recall[overwrite=true]",
    "gap-recall[pairs=8]",
    "gap-select[payload=10]",
    "nl-agreement[held_out=true]",
    "nl-agreement[objective=lm]",
    "nl-birthplace[held_out=true]",
    "nl-birthplace[objective=lm]",
    "nl-birthplace[pronoun=true]",
    "nl-boxes[held_out=true]",
    "nl-boxes[swaps=3]",
    "nl-boxes[unchanged=true]",
    "nl-clouds[held_out=true]",
    "nl-clouds[objective=lm]",
    "nl-passkey[held_out=true]",
    "nl-season[held_out=true]",
    "nl-season[objective=lm]",
    "nl-pronoun[held_out=true]",
    "nl-pronoun[objective=lm]",
]
TASKS = [find_task(name) for name in [*task_classes(), *VARIANTS]]
GOLDEN = Path(__file__).with_name("golden.json")

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
keys = st.tuples(
    st.sampled_from(SPLITS),
    st.integers(0, 9),  # repetition
    st.integers(0, 80),  # gap, from the task's smallest
    st.integers(0, 1000),  # index
    st.integers(1, 70),  # size
)
few = settings(max_examples=25, deadline=None)


def draw(task: Task, key: tuple) -> tuple[int, Batch]:
    split, repetition, extra, index, size = key
    gap = task.min_gap + extra
    return gap, task.batch(split, repetition, gap, index, size)


def arrays(batch: Batch) -> dict[str, np.ndarray]:
    return {name: getattr(batch, name) for name in ("inputs", "targets", "queries", "roles")}


def question_start(batch: Batch) -> int:
    """The first time of the question, which is the same in all rows and lasts to the last query."""
    asked = batch.roles == Role.QUESTION
    assert (asked == asked[:, :1]).all()
    start = int(asked[:, 0].argmax())
    assert asked[start : batch.queries[-1] + 1].all()
    return start


@every_task
@given(key=keys)
@few
def test_a_batch_has_the_shapes_and_the_layout(task, key):
    gap, batch = draw(task, key)
    size, queries = key[-1], len(batch.queries)
    steps = len(batch.inputs)
    if isinstance(task.inputs, Tokens):
        assert batch.inputs.shape == (steps, size)
        assert batch.inputs.dtype == np.int64
        assert 0 <= batch.inputs.min() <= batch.inputs.max() < task.inputs.size
    else:
        assert isinstance(task.inputs, Reals)
        assert batch.inputs.shape == (steps, size, task.inputs.size)
        assert np.issubdtype(batch.inputs.dtype, np.floating)
    assert batch.targets.shape == (queries, size)
    if isinstance(task.output, Classes):
        assert batch.targets.dtype == np.int64
        assert 0 <= batch.targets.min() <= batch.targets.max() < task.output.size
    assert batch.queries.dtype == np.int64
    assert (np.diff(batch.queries) > 0).all()
    assert batch.queries[-1] < steps
    assert batch.roles.shape == (steps, size)
    assert batch.roles.dtype == np.int8
    assert set(np.unique(batch.roles)) <= set(Role)
    assert not (batch.roles[question_start(batch) :] == Role.CUE).any()
    last_cue = steps - 1 - (batch.roles == Role.CUE)[::-1].argmax(axis=0)
    assert task.streaming or (batch.queries[0] - last_cue - 1 == gap).all()


@every_task
@given(key=keys)
@few
def test_the_oracle_is_right_from_inputs_and_queries_alone(task, key):
    _, batch = draw(task, key)
    blind = Batch(
        batch.inputs, np.full_like(batch.targets, -1), batch.queries, np.full_like(batch.roles, Role.FILLER)
    )
    np.testing.assert_array_equal(task.solve(blind), batch.targets)


@every_task
@given(key=keys, row=st.integers(0), seed=st.integers(0, 2**32))
@few
def test_the_cue_is_what_the_answers_depend_on_and_its_end_is_the_gap_away(task, key, row, seed):
    gap, batch = draw(task, key)
    row %= key[-1]
    rng, replaced = np.random.default_rng(seed), []
    start = question_start(batch)
    for t in range(batch.queries[-1] if task.streaming else start):
        others = task.alternatives(batch, row, t)
        present = batch.inputs[t, row]
        assert not (others == present).reshape(len(others), present.size).all(axis=1).any()
        replaced += [(t, others[index]) for index in rng.permutation(len(others))[:10]]
    columns = np.full(len(replaced), row)
    changed = Batch(
        batch.inputs[:, columns].copy(), batch.targets[:, columns], batch.queries, batch.roles[:, columns]
    )
    for column, (t, other) in enumerate(replaced):
        changed.inputs[t, column] = other
    times = np.array([t for t, _ in replaced])
    changes = task.solve(changed) != changed.targets  # (Q, replacements)
    dependency = np.unique(times[changes.any(axis=0)])
    dependency = dependency[dependency < start]
    np.testing.assert_array_equal(dependency, np.flatnonzero(batch.roles[:, row] == Role.CUE))
    if task.streaming:
        last = [times[own].max() for own in changes]
        assert (batch.queries - last - 1 == gap).all()
    else:
        assert batch.queries[0] - dependency[-1] - 1 == gap


@every_task
@given(key=keys)
@few
def test_answers_are_balanced(task, key):
    _, batch = draw(task, key)
    if isinstance(task.output, Classes):
        for answers in batch.targets:
            assert np.ptp(np.bincount(answers, minlength=task.output.size)) <= 1


@every_task
@given(key=keys)
@few
def test_the_same_arguments_give_the_same_bytes(task, key):
    _, once = draw(task, key)
    _, again = draw(find_task(task.id), key)
    for name, array in arrays(once).items():
        assert array.tobytes() == arrays(again)[name].tobytes()
        assert array.dtype == arrays(again)[name].dtype


@every_task
def test_no_row_is_in_two_splits_repetitions_or_batches(task):
    seen: set[bytes] = set()
    for split in SPLITS:
        for repetition in range(3):
            for index in range(3):
                inputs = task.batch(split, repetition, task.min_gap + 40, index, 64).inputs
                rows = {row.tobytes() for row in inputs.swapaxes(0, 1)}
                assert len(rows) == 64
                assert not rows & seen
                seen |= rows


@every_task
def test_an_unreachable_gap_is_an_error_that_names_the_smallest(task):
    with pytest.raises(UserError, match=rf"\b{task.min_gap}$"):
        task.batch("train", 0, task.min_gap - 1, 0, 4)


@every_task
def test_the_canonical_id_means_the_task(task):
    assert find_task(task.id) == task
    assert find_task(task.id).id == task.id
    assert Id.parse(task.id).version == str(task.version)


@every_task
def test_a_task_says_what_it_is(task):
    assert task.ability
    assert task.source
    assert type(task).__doc__.startswith(f"{task.name}: ")
    for gap in (task.min_gap, task.min_gap + 50):
        assert 0 < task.chance(gap) < 1
        if isinstance(task.output, Classes):  # a constant answer is one that ignores the cue
            assert task.chance(gap) >= 1 / task.output.size


@every_task
def test_a_row_is_rendered_token_by_token(task):
    batch = task.batch("test", 0, task.min_gap + 5, 0, 4)
    for row in range(4):
        spans = task.render(batch, row)
        assert [span.role for span in spans] == batch.roles[:, row].tolist()
        answered = [t for t, span in enumerate(spans) if span.answer is not None]
        assert answered == batch.queries.tolist()
        if isinstance(task.output, Classes):
            names = [task.output.names[target] for target in batch.targets[:, row]]
            assert [spans[t].answer for t in answered] == names


def digest(task: Task) -> str:
    """A hash of some of a task's batches that is the same on every machine."""
    found = hashlib.sha256()
    for split in SPLITS:
        for gap in (task.min_gap, task.min_gap + 21, task.min_gap + 100):
            for name, array in arrays(task.batch(split, 1, gap, 2, 17)).items():
                kind = "<f8" if np.issubdtype(array.dtype, np.floating) else "<i8"
                found.update(f"{name}{array.shape}".encode() + array.astype(kind).tobytes())
    return found.hexdigest()


@every_task
def test_the_samples_of_a_version_never_change(task):
    golden = json.loads(GOLDEN.read_text())
    assert task.id in golden, "no golden hash yet: python -m tests.tasks.test_contract"
    assert digest(task) == golden[task.id], (
        f"the samples of {task.id} are not what they were: raise the version of {type(task).__name__}, then "
        "python -m tests.tasks.test_contract"
    )


if __name__ == "__main__":
    known = json.loads(GOLDEN.read_text())
    known = {task.id: digest(task) for task in TASKS if task.id not in known} | known
    GOLDEN.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
