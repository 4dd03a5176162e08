"""Attempts: who trains what, who failed, who is gone."""

import os
import socket
import subprocess
import sys

import pytest

from harness.store.life import STALE_SECONDS

HERE = f"{socket.gethostname()}:{os.getpid()}:0"


@pytest.fixture(scope="module")
def gone() -> str:
    """The owner of an attempt whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}:0"


def test_an_attempt_lives_until_it_ends(store, make):
    request = make.request()
    attempt = store.begin([request, make.request(repetition=1)], owner=HERE)
    store.beat(attempt, 0.25)
    row = store.attempts().iloc[0]
    assert row[["owner", "cell", "task", "protocol", "gap", "members"]].to_list() == [
        *(HERE, "lstm[layers=2]", "gap-copy@1", "quick@1", 16, 2)
    ]
    assert (row["outcome"], row["progress"]) == (None, 0.25)
    assert row["heartbeat"] >= row["started"]
    assert store.failures([request.key]) == {}
    store.end(attempt, "out-of-memory", "needs 3 GB")
    assert store.attempts().iloc[0][["outcome", "reason"]].to_list() == ["out-of-memory", "needs 3 GB"]


def test_recording_ends_an_attempt(store, make):
    make.record(store, make.result())
    assert store.attempts().iloc[0][["outcome", "progress"]].to_list() == ["finished", 1.0]


def test_failures_are_told_by_key_oldest_first(store, make):
    one, other, third = (make.request(repetition=i) for i in range(3))
    for requests, outcome in (
        ([one, other], "timed-out"),
        ([one], "interrupted"),
        ([one, third], "finished"),
        ([one], "killed"),
    ):
        store.end(store.begin(requests, owner=HERE), outcome)
    failures = store.failures([one.key, other.key, third.key])
    assert failures == {one.key: ["timed-out", "killed"], other.key: ["timed-out"]}


def test_an_attempt_of_a_process_that_is_gone_was_killed(store, make, gone, sql):
    one, other = make.request(), make.request(repetition=1)
    store.begin([one, other], owner=gone)
    assert store.failures([one.key]) == {one.key: ["killed"]}
    assert store.attempts()["outcome"][0] == "killed"
    assert sql("SELECT outcome FROM attempts") == [(None,)]
    store.begin([one], owner=HERE)
    assert sql("SELECT outcome FROM attempts ORDER BY id") == [("killed",), (None,)]
    assert store.failures([one.key, other.key]) == {one.key: ["killed"], other.key: ["killed"]}


@pytest.mark.parametrize(("age", "outcome"), [(STALE_SECONDS - 60, None), (STALE_SECONDS + 1, "killed")])
def test_an_attempt_elsewhere_lives_as_long_as_its_heart_beats(store, make, sql, age, outcome):
    attempt = store.begin([make.request()], owner="elsewhere:1:0")
    sql(f"UPDATE attempts SET heartbeat = heartbeat - {age}")
    assert store.attempts()["outcome"][0] == outcome
    store.beat(attempt, 0.5)
    assert store.attempts()["outcome"][0] is None


def test_an_attempt_at_other_runs_is_left_alone(store, make, gone, sql):
    store.begin([make.request()], owner=gone)
    store.begin([make.request(repetition=1)], owner=HERE)
    assert sql("SELECT outcome FROM attempts ORDER BY id") == [(None,), (None,)]


def test_who_was_thought_dead_may_still_record(store, make, gone):
    attempt = store.begin([make.request()], owner=gone)
    store.begin([make.request()], owner=HERE)
    store.record(attempt, [make.result()], make.cards(make.request()), ("quick@1", {}))
    assert store.failures([make.request().key]) == {}
    assert list(store.attempts()["outcome"]) == ["finished", None]


def test_only_known_outcomes_of_known_attempts(store, make):
    attempt = store.begin([make.request()], owner=HERE)
    with pytest.raises(ValueError, match="'diverged' is not one of"):
        store.end(attempt, "diverged")
    for change in (lambda: store.end(9, "killed"), lambda: store.beat(9, 0.5)):
        with pytest.raises(ValueError, match="there is no attempt 9"):
            change()
