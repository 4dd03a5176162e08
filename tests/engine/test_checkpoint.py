"""A training that is interrupted and gone on with is the training that was not."""

import os
import time

import pytest

from harness.engine import checkpoint as checkpoints
from harness.engine import train
from harness.engine.checkpoint import Checkpoint

TOGETHER = [(0, 1e-2), (1, 1e-2), (0, 3e-3), (7, 3e-3)]


class Stopped(Exception):
    pass


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """kept(members): a checkpoint that is due at every update, and need not outlive the machine."""
    monkeypatch.setattr(checkpoints, "SECONDS", -1.0)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    return lambda members=TOGETHER, population="a" * 64: Checkpoint(tmp_path / "kept", population, members)


def interrupted(population, settings, checkpoint, after):
    """Train until this update, and no further."""

    def report(progress):
        if progress.update == after:
            raise Stopped

    with pytest.raises(Stopped):
        train(population, settings(checkpoint=checkpoint), report=report)


def same(found, expected):
    """The same to the last bit: all but the time."""
    for one, other in zip(found, expected, strict=True):
        one.seconds = other.seconds
        assert one == other


@pytest.mark.parametrize(("engine", "after"), [("eager", 2), ("eager", 12), ("reference", 7)])
def test_going_on_changes_nothing(population, settings, kept, engine, after):
    how = settings(engine=engine)
    training = population("gru", TOGETHER)
    expected = train(training, how)
    make = lambda **more: settings(engine=engine, **more)  # noqa: E731
    interrupted(training, make, kept(), after)
    notes, seen = [], []
    found = train(
        training,
        make(checkpoint=kept()),
        note=notes.append,
        report=lambda progress: seen.append(progress.update),
    )
    assert notes == [f"goes on after update {after - 1}"]
    assert seen == list(range(after, 13))
    same(found, expected)


def test_going_on_twice_and_with_members_that_are_done(population, settings, kept, tmp_path):
    """Some have diverged, some have solved it; mixed gaps; loss and accuracy are told as before."""
    fuse = population("fuse", [(0, 1e-5), (1, 1e-2), (0, 1e-2)], gap=None, gaps=(2, 3), max_gap=3, updates=20)
    expected_progress, found_progress = [], []
    expected = train(fuse, settings(), report=expected_progress.append)
    assert {t.outcome for t in expected} == {"finished", "diverged"}
    members = [tuple(m) for m in fuse.members]
    for after in (8, 15):
        interrupted(fuse, settings, kept(members), after)
    found = train(fuse, settings(checkpoint=kept(members)), report=found_progress.append)
    same(found, expected)
    assert found_progress == expected_progress[14:]
    easy = population("rnn", TOGETHER, updates=20, solved_accuracy=0.13, solved_checks=1)
    expected = train(easy, settings())
    assert len({t.solved_at for t in expected}) > 1
    last = max(t.solved_at or 20 for t in expected)
    interrupted(easy, settings, kept(population="b" * 64), last)
    same(train(easy, settings(checkpoint=kept(population="b" * 64))), expected)


def test_a_part_of_the_members_goes_on_from_the_whole(population, settings, kept):
    """As when fewer populations are left, and each is divided among more workers."""
    interrupted(population("rnn", TOGETHER), settings, kept(), 9)
    part = [TOGETHER[2], TOGETHER[1]]
    seen = []
    found = train(
        population("rnn", part),
        settings(checkpoint=kept(part)),
        report=lambda progress: seen.append(progress.update),
    )
    assert seen == list(range(9, 13))
    whole = train(population("rnn", TOGETHER), settings())
    for one, other in zip(found, (whole[2], whole[1]), strict=True):
        assert [c.loss for c in one.checks] == pytest.approx([c.loss for c in other.checks], rel=1e-7)
        assert one.counts == other.counts
    assert kept(TOGETHER[:1]).load()[0]["rows"] == [0]
    assert kept([*TOGETHER, (9, 1e-2)]).load() == (None, [])


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "foreign"])
def test_a_checkpoint_that_is_no_good_is_ignored_in_one_line(population, settings, kept, damage):
    training = population("rnn", TOGETHER[:1], updates=12)
    expected = train(training, settings())
    here = kept(TOGETHER[:1])
    interrupted(training, settings, here, 9)
    whole = here.path.read_bytes()
    if damage == "foreign":
        other = kept(TOGETHER[:1], "b" * 64)
        interrupted(training, settings, other, 9)
        whole = other.path.read_bytes()
    flipped = bytes([whole[500] ^ 1])
    here.path.write_bytes(
        {
            "cut": whole[:-10],
            "bit": whole[:500] + flipped + whole[501:],
            "empty": b"",
            "text": b"hello",
            "foreign": whole,
        }[damage]
    )
    notes = []
    same(train(training, settings(checkpoint=here), note=notes.append), expected)
    assert notes == [f"{here.path} is no checkpoint of this, and ignored"]


def test_a_file_that_was_never_finished_is_nothing(kept):
    here = kept()
    here.save({"update": 3})
    assert here.load()[0]["update"] == 3
    here.path.rename(here.path.with_suffix(".new"))
    assert here.load() == (None, [])
    here.done()


def test_a_checkpoint_is_saved_now_and_then_and_a_full_disk_is_no_reason_to_stop(
    population, settings, kept, monkeypatch
):
    here = kept(TOGETHER[:1])
    monkeypatch.setattr(checkpoints, "SECONDS", 3600.0)
    training = population("rnn", TOGETHER[:1], updates=12)
    train(training, settings(checkpoint=here))
    assert not here.folder.exists()
    monkeypatch.setattr(checkpoints, "SECONDS", -1.0)
    here.folder.write_text("where the folder should be")
    train(training, settings(checkpoint=here))


def test_old_ones_are_cleared_away(kept):
    old, new = kept([(1, 0.1)]), kept([(2, 0.1)])
    old.save({"update": 3})
    long_ago = time.time() - 86_400 * (checkpoints.STALE_DAYS + 1)
    os.utime(old.path, (long_ago, long_ago))
    new.save({"update": 3})
    assert not old.path.exists()
    assert new.path.exists()
    new.done()
    assert not new.path.exists()


def test_what_was_measured_once_is_not_measured_again(population, settings, kept):
    """The engine that `auto` had settled on."""
    training = population("unrolling", TOGETHER[:1], updates=30)
    interrupted(training, lambda **more: settings(engine="auto", **more), kept(TOGETHER[:1]), 28)
    engine = kept(TOGETHER[:1]).load()[0]["engine"]
    assert engine in ("unroll", "eager", "compiled")
    assert {t.engine for t in train(training, settings(engine="auto", checkpoint=kept(TOGETHER[:1])))} == {
        engine
    }
