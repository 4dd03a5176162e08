"""What holds of a population and of each of its members."""

import math
from dataclasses import replace
from importlib import import_module

import numpy as np
import plugin_cells
import pytest
import torch

from harness.engine import Count, engines, train
from harness.engine.stack import StackedModel
from harness.protocol import CHECK_ROWS
from harness.task import Task

training = import_module("harness.engine.train")  # whose name in the package is that of its function
TOGETHER = [(0, 1e-2), (1, 1e-2), (0, 3e-3), (7, 3e-3), (1, 3e-3)]


def same(one, other, rel=1e-7):
    """The same curve and counts, to the precision of float64 summed in another order."""
    assert (one.outcome, one.diverged_at, one.updates, one.solved_at) == (
        other.outcome, other.diverged_at, other.updates, other.solved_at,
    )  # fmt: skip
    assert one.counts == other.counts
    assert [c.update for c in one.checks] == [c.update for c in other.checks]
    assert [c.accuracy for c in one.checks] == [c.accuracy for c in other.checks]
    assert [c.loss for c in one.checks] == pytest.approx([c.loss for c in other.checks], rel=rel)


@pytest.mark.parametrize("engine", ["eager", "reference"])
@pytest.mark.parametrize(
    ("name", "task"), [("gru", "tokens"), ("counting", "reals"), ("learned_start", "tokens")]
)
def test_a_member_is_the_same_alone_and_among_others(population, settings, name, task, engine):
    among = train(population(name, TOGETHER, task=task), settings(engine=engine))
    for i in (1, 2):
        (alone,) = train(population(name, [TOGETHER[i]], task=task), settings(engine=engine))
        same(alone, among[i])
    assert len({m.checks[-1].loss for m in among}) == len(TOGETHER)


@pytest.mark.parametrize("name", ["gru", "counting", "unrolling"])
def test_the_engines_train_alike(population, settings, name):
    """Until rounding has grown: it does, along a training."""
    expected = train(population(name, TOGETHER[:2], task="reals"), settings(engine="reference"))
    found = train(population(name, TOGETHER[:2], task="reals"), settings(engine="eager"))
    for one, other in zip(found, expected, strict=True):
        same(one, other)
        assert (one.engine, other.engine) == ("eager", "reference")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru", "step_only"])
@pytest.mark.parametrize("size", [5, 2])
def test_compiled_trains_like_the_reference(require, population, settings, monkeypatch, name, size):
    """Also where the members do not fill the blocks evenly, which are then filled up."""
    require("compiler")
    monkeypatch.setattr(training, "_block_size", lambda *_: size)
    found = train(population(name, TOGETHER), settings(engine="compiled"), note=pytest.fail)
    for one, other in zip(found, train(population(name, TOGETHER), settings()), strict=True):
        same(one, other)
        assert one.engine == "compiled"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blocks_change_nothing(population, settings, monkeypatch, size):
    whole = train(population("rnn", TOGETHER), settings())
    sizes = []
    losses = StackedModel.losses
    monkeypatch.setattr(StackedModel, "losses", lambda *a: sizes.append(len(a[1])) or losses(*a))
    monkeypatch.setattr(training, "_block_size", lambda *_: size)
    for one, other in zip(train(population("rnn", TOGETHER), settings()), whole, strict=True):
        same(one, other)
    assert max(sizes) == size


def test_recomputing_for_lack_of_memory_changes_nothing(population, settings):
    rules = {"members": TOGETHER[:2], "gap": 60, "updates": 3}
    roomy, tight = (train(population("rnn", **rules), settings(memory=m)) for m in (1 << 30, 1))
    for one, other in zip(tight, roomy, strict=True):
        same(one, other, rel=0)


def test_the_repetition_fixes_data_and_weights(population, settings):
    """Members of one repetition start at the same loss, whatever their rate; others do not."""
    first = [m.checks[0].loss for m in train(population("rnn", TOGETHER), settings())]
    assert first[0] == pytest.approx(first[2], rel=1e-12)
    assert first[1] == pytest.approx(first[4], rel=1e-12)
    assert len({round(loss, 9) for loss in first}) == 3


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn of a task, in order: (split, repetition, gap, index, size)."""
    found = []
    batch = Task.batch
    monkeypatch.setattr(Task, "batch", lambda task, *place: found.append(place) or batch(task, *place))
    return found


def test_members_that_differ_in_rate_only_share_their_batches(population, settings, drawn):
    population = population("rnn", TOGETHER, updates=3)
    train(population, settings())
    of_training = [place for place in drawn if place[0] == "train"]
    assert of_training == [("train", r, 2, update, 8) for update in (1, 2, 3) for r in (0, 1, 7)]
    assert len(set(drawn)) == len(drawn)


def test_the_splits_are_for_what_they_are(population, settings, drawn):
    """Gradients from train; checks from rows of validation that are never scored; test at the very end."""
    population = population("rnn", [(0, 0.01)], updates=4, rows=300)
    train(population, settings(), report=lambda progress: drawn.append(("update", progress.update)))
    last = drawn.index(("update", 4))
    checks = {place for place in drawn[:last] if place[0] == "validation"}
    assert {place[0] for place in drawn[:last]} == {"train", "validation", "update"}
    assert {index for *_, index, _ in checks} == {-1, -2, -3, -4}
    scored = drawn[last + 1 :]
    assert [(split, index, size) for split, _, _, index, size in scored] == [
        ("validation", 0, 256), ("validation", 1, 44), ("test", 0, 256), ("test", 1, 44),
    ]  # fmt: skip


@pytest.mark.parametrize("poisoned", ["validation", "test"])
def test_no_answer_of_a_held_out_split_reaches_the_training(population, settings, monkeypatch, poisoned):
    clean = train(population("rnn", TOGETHER[:2]), settings())
    batch = Task.batch

    def poison(task, split, *place):
        made = batch(task, split, *place)
        return replace(made, targets=0 * made.targets) if split == poisoned else made

    monkeypatch.setattr(Task, "batch", poison)
    for one, other in zip(train(population("rnn", TOGETHER[:2]), settings()), clean, strict=True):
        assert [c.loss for c in one.checks] == [c.loss for c in other.checks]
        for place, count in one.counts.items():
            assert (count != other.counts[place]) == (place[0] == poisoned)


def test_scores_are_what_the_trained_models_answer(population, settings):
    """With nothing learned, the scored model is the one that is built."""
    from harness.model import build

    asked = population("rnn", TOGETHER[:2], gap=3, rows=300)
    asked = replace(asked, protocol=replace(asked.protocol, lr=(1e-300,)))
    members = tuple(member._replace(lr=1e-300) for member in asked.members)
    for member, trained in zip(members, train(replace(asked, members=members), settings()), strict=True):
        model = build(asked.spec, asked.task, 8, member.repetition).double()
        for split in ("validation", "test"):
            right = 0
            for index, size in enumerate((256, 44)):
                batch = asked.task.batch(split, member.repetition, 3, index, size)
                answers = model(torch.from_numpy(batch.inputs), batch.queries.tolist()).argmax(-1)
                right += int((answers.numpy() == batch.targets).sum())
            assert trained.counts[split, 3] == Count(900, right)


def test_a_check_is_the_mean_loss_since_the_last_and_accuracy_on_validation(population, settings):
    single = train(population("rnn", updates=12), settings())[0].checks
    assert [c.update for c in single] == list(range(1, 13))
    long = train(population("rnn", updates=70), settings())[0].checks
    assert [c.update for c in long] == [*range(2, 71, 2)]
    firsts = np.array([c.loss for c in single]).reshape(-1, 2).mean(axis=1)
    np.testing.assert_allclose([c.loss for c in long[:6]], firsts, rtol=1e-9)


class Answers:
    """Says how accurate the members are at each check; what is scored at the end is what they answer."""

    def __init__(self, monkeypatch, *accuracies):
        self.accuracies = accuracies
        self.checks = 0
        score = training._Training._count

        def count(of, split, gap, index, rows):
            return score(of, split, gap, index, rows) if index >= 0 else self.check(rows)

        monkeypatch.setattr(training._Training, "_count", count)

    def check(self, rows):
        assert rows == CHECK_ROWS
        right = [round(1000 * a[self.checks]) if self.checks < len(a) else 0 for a in self.accuracies]
        self.checks += 1
        return 1000, torch.tensor(right)


def test_three_checks_in_a_row_solve(population, settings, monkeypatch):
    members = [(0, 1e-2), (1, 1e-2), (2, 1e-2)]
    Answers(monkeypatch, [1, 1, 0.998, 1, 0.999, 1, 0], [1, 1, 1], [1, 1, 0] * 4)
    trained = train(population("rnn", members, solved_accuracy=0.999), settings())
    assert [t.solved_at for t in trained] == [6, 3, None]
    assert [t.updates for t in trained] == [6, 3, 12]
    assert [len(t.checks) for t in trained] == [6, 3, 12]
    assert {t.outcome for t in trained} == {"finished"}


def test_when_all_have_solved_it_ends(population, settings, monkeypatch, drawn):
    Answers(monkeypatch, [1] * 3, [0] + [1] * 3)
    seen = []
    asked = population("rnn", [(0, 1e-2), (1, 1e-2)], solved_accuracy=0.999)
    train(asked, settings(), report=seen.append)
    assert [(p.update, p.training) for p in seen] == [(1, 2), (2, 2), (3, 1), (4, 0)]
    assert max(index for split, _, _, index, _ in drawn if split == "train") <= 6


def test_a_member_that_has_solved_its_task_stays_as_it_is(population, settings, monkeypatch):
    """Though others train on: it scores like one whose training ended there."""
    (short,) = train(population("rnn", TOGETHER[:1], updates=3), settings())
    Answers(monkeypatch, [1, 1, 1], [], [])
    early, *late = train(population("rnn", TOGETHER[:3], solved_accuracy=0.999), settings())
    assert early.counts == short.counts
    assert [c.loss for c in early.checks] == pytest.approx([c.loss for c in short.checks], rel=1e-9)
    assert [t.updates for t in (early, *late)] == [3, 12, 12]
    assert late[1].counts != short.counts


@pytest.mark.parametrize("engine", ["eager", "reference"])
def test_one_that_diverges_is_recorded_and_the_others_finish(population, settings, engine):
    members = [(0, 1e-4), (0, 1e-2), (1, 1e-4)]
    quiet, ill, other = train(population("fuse", members), settings(engine=engine))
    assert (ill.outcome, ill.solved_at, ill.counts) == ("diverged", None, {})
    assert 5 <= ill.diverged_at <= 12  # the weight moves by a rate at most, and its fuse is 4.5 rates long
    assert ill.updates == ill.diverged_at
    assert len(ill.checks) == ill.diverged_at - 1
    assert all(math.isfinite(check.loss) for check in ill.checks)
    for member, finished in zip((0, 2), (quiet, other), strict=True):
        (alone,) = train(population("fuse", [members[member]]), settings(engine=engine))
        same(finished, alone)
        assert finished.outcome == "finished"


def test_divergence_between_two_checks_has_its_own_update(population, settings):
    (each,) = train(population("fuse", [(0, 1e-2)]), settings())
    (rare,) = train(population("fuse", [(0, 1e-2)], updates=130), settings())
    assert rare.outcome == "diverged"
    assert rare.diverged_at == rare.updates == each.diverged_at
    assert [c.update for c in rare.checks] == [4]


@pytest.mark.parametrize(("lr", "dtype"), [(1e30, torch.float32), (1e300, torch.float64)])
def test_an_absurd_learning_rate_diverges_alone(population, settings, lr, dtype):
    members, how = [(0, lr), (0, 1e-2)], settings(dtype=dtype)
    absurd, sane = train(population("rnn", members, task="reals"), how)
    (alone,) = train(population("rnn", members[1:], task="reals"), how)
    assert absurd.outcome == "diverged"
    same(sane, alone, rel=1e-5)


def test_when_all_have_diverged_it_ends(population, settings):
    seen = []
    train(population("fuse", [(0, 1e-2)], updates=400), settings(), report=seen.append)
    assert seen[-1].training == 0
    assert seen[-1].update < 20 + 400 // 32


class Short:
    """Memory for so many members at once: more, and torch's own words are raised."""

    def __init__(self, monkeypatch, members, error=None):
        self.members, self.failures = members, 0
        self.error = error or RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
            "you tried to allocate 123 bytes. Error code 12 (Cannot allocate memory)"
        )
        answers = StackedModel.answers

        def limited(model, flat, batch):
            if len(flat) > self.members:
                self.failures += 1
                raise self.error
            return answers(model, flat, batch)

        monkeypatch.setattr(StackedModel, "answers", limited)


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA out of memory. Tried …")])
def test_out_of_memory_goes_on_in_smaller_blocks(population, settings, monkeypatch, error):
    plenty = train(population("rnn", TOGETHER), settings())
    with monkeypatch.context() as patch:
        short, notes = Short(patch, 2, error), []
        found = train(population("rnn", TOGETHER), settings(), note=notes.append)
    assert short.failures == 2
    assert [int(word) for line in notes for word in line.split() if word.isdigit()] == [3, 2]
    assert all("memory" in line for line in notes)
    for one, other in zip(found, plenty, strict=True):
        same(one, other)


def test_out_of_memory_while_tracing_is_no_fault_of_the_cell(population, settings, monkeypatch):
    trace, notes = engines.trace, []

    def limited(advance, parameters, x, state):
        if len(x) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes.")
        return trace(advance, parameters, x, state)

    monkeypatch.setattr(engines, "trace", limited)
    found = train(population("rnn", TOGETHER[:3], updates=2), settings(), note=notes.append)
    assert len(notes) == 1
    assert found[0].engine == "eager"


def test_out_of_memory_for_a_single_member_is_an_error(population, settings, monkeypatch):
    Short(monkeypatch, 0)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        train(population("rnn", TOGETHER), settings())


def test_other_errors_are_not_taken_for_a_lack_of_memory(population, settings, monkeypatch):
    short = Short(monkeypatch, 0, RuntimeError("expected scalar type"))
    with pytest.raises(RuntimeError, match="expected scalar type"):
        train(population("rnn", TOGETHER), settings())
    assert short.failures == 1


def test_mixed_gaps_are_the_same_for_all_and_all_are_scored(population, settings, drawn):
    asked = population("rnn", TOGETHER[:3], gap=None, updates=40, gaps=(2, 4, 64, 80), max_gap=20, rows=8)
    trained = train(asked, settings())
    gaps = [asked.protocol.training_gap("gap-copy@1", 0, update) for update in range(1, 41)]
    assert [place for place in drawn if place[0] == "train"] == [
        ("train", r, gap, update, 8) for update, gap in enumerate(gaps, 1) for r in (0, 1)
    ]
    assert len(set(gaps)) > 5
    assert max(gaps) <= 20
    for member in trained:
        assert set(member.counts) == {(s, g) for s in ("validation", "test") for g in (2, 4, 64, 80)}
    checked = {(gap, size) for split, _, gap, index, size in drawn if split == "validation" and index < 0}
    assert checked == {(2, CHECK_ROWS // 2), (4, CHECK_ROWS // 2)}  # within the trained range only


@pytest.mark.parametrize("name", plugin_cells.UNFITTING)
def test_what_cannot_be_traced_trains_by_the_reference_with_one_note(population, settings, name):
    notes = []
    found = train(population(name, TOGETHER[:2], updates=3), settings(), note=notes.append)
    expected = train(
        population(name, TOGETHER[:2], updates=3), settings(engine="reference"), note=notes.append
    )
    (line,) = notes
    assert line.startswith("trains one member at a time, step by step: ")
    assert "\n" not in line
    for one, other in zip(found, expected, strict=True):
        same(one, other, rel=0)
        assert one.engine == "reference"


def test_what_the_cell_raises_comes_through(population, settings):
    with pytest.raises(RuntimeError, match="out of order"):
        train(population("raising"), settings())


def test_a_compiler_that_fails_is_one_note(population, settings, monkeypatch):
    def fail(step):
        raise RuntimeError("no compiler is here\nat all")

    monkeypatch.setattr("harness.engine.compiler.compiled", fail)
    notes = []
    found = train(population("rnn", TOGETHER[:2]), settings(engine="compiled"), note=notes.append)
    assert notes == ["is not compiled: no compiler is here"]
    for one, other in zip(found, train(population("rnn", TOGETHER[:2]), settings()), strict=True):
        same(one, other)
        assert one.engine == "eager"


def test_progress_is_told_at_every_update(population, settings):
    seen = []
    trained = train(population("rnn", TOGETHER[:2], updates=40), settings(), report=seen.append)
    assert [p.update for p in seen] == list(range(1, 41))
    assert {(p.updates, p.members, p.training) for p in seen} == {(40, 2, 2)}
    last = [t.checks[-1] for t in trained]
    assert seen[-1].loss == pytest.approx(sum(c.loss for c in last) / 2)
    assert seen[-1].accuracy == pytest.approx(sum(c.accuracy for c in last) / 2)


def test_the_time_is_shared_out(population, settings):
    trained = train(population("rnn", TOGETHER), settings())
    assert len({t.seconds for t in trained}) == 1
    assert trained[0].seconds > 0


def test_nothing_is_drawn_from_the_global_generator(population, settings):
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    train(population("rnn", updates=2), settings())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("engine", ["eager", "reference"])
def test_buffers_and_frozen_weights_are_each_repetitions_own(population, settings, engine):
    among = train(population("frozen", TOGETHER[:2]), settings(engine=engine))
    for i in range(2):
        (alone,) = train(population("frozen", [TOGETHER[i]]), settings(engine=engine))
        same(among[i], alone)
        assert among[i].engine == engine
