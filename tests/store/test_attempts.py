"""Attempts: who trains what, who failed, who is gone."""

import os
import socket
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

from harness.errors import UserError
from harness.store.life import STALE_SECONDS, Heart, owner

HERE = f"{socket.gethostname()}:{os.getpid()}:0"


@pytest.fixture(scope="module")
def gone() -> str:
    """The owner of an attempt whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}:0"


def begun(store, requests, owner=HERE) -> int:
    """The attempt of an owner who gets all of it."""
    claim = store.claim(requests, owner=owner)
    assert claim.keys == {request.key for request in requests}
    return claim.attempt


def record(store, make, attempt, *results) -> None:
    store.record(attempt, results, make.cards(results[0].request), ("quick@1", {}))


def test_an_attempt_lives_until_it_ends(store, make):
    request = make.request()
    attempt = begun(store, [request, make.request(repetition=1)])
    assert store.beat({attempt: 0.25}) == set()
    row = store.attempts().iloc[0]
    assert row[["owner", "cell", "task", "protocol", "gap", "members"]].to_list() == [
        *(HERE, "lstm[layers=2]", "gap-copy@1", "quick@1", 16, 2)
    ]
    assert (row["outcome"], row["progress"]) == (None, 0.25)
    assert row["heartbeat"] >= row["started"]
    assert store.failures([request.key]) == {}
    assert store.claimed([request.key, "none"]) == {request.key: HERE}
    store.end(attempt, "out-of-memory", "needs 3 GB")
    assert store.attempts().iloc[0][["outcome", "reason"]].to_list() == ["out-of-memory", "needs 3 GB"]
    assert store.claimed([request.key]) == {}


def test_recording_ends_an_attempt(store, make):
    make.record(store, make.result())
    assert store.attempts().iloc[0][["outcome", "progress"]].to_list() == ["finished", 1.0]


def test_what_ended_has_ended(store, make):
    attempt = begun(store, [make.request()])
    store.end(attempt, "timed-out", "after 600 s")
    store.end(attempt, "interrupted")
    assert store.beat({attempt: 0.5}) == {attempt}
    assert store.attempts().iloc[0][["outcome", "reason"]].to_list() == ["timed-out", "after 600 s"]


def test_what_is_finished_or_attempted_by_another_cannot_be_claimed(store, make):
    finished, theirs, free = (make.request(repetition=i) for i in range(3))
    make.record(store, make.result(finished))
    begun(store, [theirs], "elsewhere:7:0")
    claim = store.claim([finished, theirs, free], owner=HERE)
    assert claim.keys == {free.key}
    assert store.claim([finished, theirs], owner=HERE) is None
    assert store.claimed([finished.key, theirs.key, free.key]) == {
        theirs.key: "elsewhere:7:0",
        free.key: HERE,
    }
    assert list(store.attempts()["members"]) == [1, 1, 1]


def test_what_is_left_of_an_attempt_is_what_nobody_has_made_since(store, make):
    requests = [make.request(repetition=i) for i in range(3)]
    store.end(begun(store, requests), "killed")
    assert list(store.attempts()["left"]) == [3]
    make.record(store, make.result(requests[0]))
    begun(store, requests[1:2])
    assert store.attempts()[["outcome", "members", "left"]].values.tolist() == [
        ["killed", 3, 2],
        ["finished", 1, 0],
        [None, 1, 1],
    ]
    assert store.attempts()["left"].dtype == "int64"


def test_who_claims_again_has_what_it_had(store, make):
    """Where it was not told that it got it."""
    requests = [make.request(repetition=i) for i in range(2)]
    first = store.claim(requests, owner=HERE)
    assert store.claim(requests, owner=HERE) == first
    assert len(store.attempts()) == 1


def test_who_leaves_lets_go_of_all_that_it_has(store, make):
    one, other, theirs = (make.request(repetition=i) for i in range(3))
    store.end(begun(store, [one]), "out-of-memory")
    begun(store, [one])
    begun(store, [other])
    begun(store, [theirs], "elsewhere:7:0")
    store.leave(HERE)
    assert list(store.attempts()["outcome"]) == ["out-of-memory", "interrupted", "interrupted", None]
    assert store.failures([other.key]) == {}


def test_failures_are_told_by_key_oldest_first(store, make):
    one, other, third = (make.request(repetition=i) for i in range(3))
    for requests, outcome in (
        ([one, other], "timed-out"),
        ([one], "interrupted"),
        ([one, third], "finished"),
        ([one], "killed"),
    ):
        store.end(begun(store, requests), outcome)
    failures = store.failures([one.key, other.key, third.key])
    assert failures == {one.key: ["timed-out", "killed"], other.key: ["timed-out"]}


def test_an_attempt_of_a_process_that_is_gone_was_killed(store, make, gone, sql):
    one, other = make.request(), make.request(repetition=1)
    begun(store, [one, other], gone)
    assert store.failures([one.key]) == {one.key: ["killed"]}
    assert store.attempts()["outcome"][0] == "killed"
    assert sql("SELECT outcome FROM attempts") == [(None,)]
    begun(store, [one])
    assert sql("SELECT outcome FROM attempts ORDER BY id") == [("killed",), (None,)]
    assert store.failures([one.key, other.key]) == {one.key: ["killed"], other.key: ["killed"]}


def test_the_number_of_a_process_tells_nothing_in_another_container(store, make, gone):
    begun(store, [make.request()], f"{gone}:other")
    assert store.attempts()["outcome"][0] is None
    begun(store, [make.request(repetition=1)], owner())
    assert store.attempts()["outcome"][1] is None


@pytest.mark.parametrize(("age", "outcome"), [(STALE_SECONDS - 60, None), (STALE_SECONDS + 1, "killed")])
def test_an_attempt_elsewhere_lives_as_long_as_its_heart_beats(store, make, sql, age, outcome):
    attempt = begun(store, [make.request()], "elsewhere:1:0")
    sql(f"UPDATE attempts SET heartbeat = heartbeat - {age}")
    assert store.attempts()["outcome"][0] == outcome
    store.beat({attempt: 0.5})
    assert store.attempts()["outcome"][0] is None


def test_an_attempt_at_other_runs_is_left_alone(store, make, gone, sql):
    begun(store, [make.request()], gone)
    begun(store, [make.request(repetition=1)])
    assert sql("SELECT outcome FROM attempts ORDER BY id") == [(None,), (None,)]


def test_who_was_thought_dead_and_is_first_may_still_record(store, make, gone):
    request = make.request()
    slow = begun(store, [request], gone)
    quick = begun(store, [request])
    assert store.beat({slow: 0.9, quick: 0.1}) == {slow}
    record(store, make, slow, make.result(gap_auc=0.9))
    assert store.failures([request.key]) == {}
    assert list(store.attempts()["outcome"]) == ["finished", None]
    record(store, make, quick, make.result(gap_auc=0.1))
    assert list(store.runs()["gap_auc"]) == [0.9]
    assert list(store.attempts()["outcome"]) == ["finished", "finished"]


def test_who_was_thought_dead_and_is_late_changes_nothing(store, make, gone):
    request = make.request()
    slow = begun(store, [request], gone)
    quick = begun(store, [request])
    record(store, make, quick, make.result(gap_auc=0.1))
    before = store.runs(), store.scores(), store.attempts()
    record(store, make, slow, make.result(gap_auc=0.9, scores=[]))
    assert store.beat({slow: 1.0}) == {slow}
    store.end(slow, "timed-out")
    for now, was in zip((store.runs(), store.scores(), store.attempts()), before, strict=True):
        pd.testing.assert_frame_equal(now, was)
    assert list(before[2]["outcome"]) == ["killed", "finished"]


def test_what_a_cell_says_is_stored_whatever_it_is(store, make):
    store.end(begun(store, [make.request()]), "killed", "a NUL \0, half a pair \udc80")
    assert store.attempts()["reason"][0] == "a NUL \ufffd, half a pair ?"
    make.record(store, make.result(outcome="crashed", reason="\0"))
    assert store.runs()["reason"][0] == "\ufffd"


def test_only_known_outcomes_of_known_attempts(store, make):
    attempt = begun(store, [make.request()])
    with pytest.raises(ValueError, match="'diverged' is not one of"):
        store.end(attempt, "diverged")
    for change in (lambda: store.end(9, "killed"), lambda: store.beat({9: 0.5})):
        with pytest.raises(ValueError, match="there is no attempt 9"):
            change()


def test_a_heart_beats_until_it_is_left_whatever_the_store_says(monkeypatch):
    monkeypatch.setattr("harness.store.life.BEAT_SECONDS", 0.001)
    beats, enough = [], threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()
        raise UserError("the store is locked")

    with Heart(beat):
        assert enough.wait(10)
    counted = len(beats)
    time.sleep(0.02)
    assert len(beats) == counted
