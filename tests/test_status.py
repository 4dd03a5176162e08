"""How far plans are, and when they end."""

import doctest
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from harness import status
from harness.store import Plans

PLAN = {
    "plan": 1, "digest": "d", "name": "sweep.toml", "owner": "host:7:1:here", "started": 1000.0, "runs": 10,
    "done": 4, "failed": 1, "cost": 100.0, "left": 60.0, "made": 20.0, "running": 2, "alive": True,
}  # fmt: skip
ATTEMPT = {"plan": 1, "attempt": 9, "started": 1080.0, "progress": 0.5, "runs": 1, "cost": 20.0}


def store(*plans, running=(), now=1100.0):
    frames = (
        pd.DataFrame(list(rows), columns=list(like)) for rows, like in ((plans, PLAN), (running, ATTEMPT))
    )
    return SimpleNamespace(plans=lambda: Plans(*frames, now))


def standing(running=({},), now=1100.0, **changes):
    (one,) = status.plans(
        store({**PLAN, **changes}, running=[{**ATTEMPT, **change} for change in running], now=now)
    )
    return one


def test_it_ends_by_the_pace_since_it_began():
    """20 made and 10 of what trains, in 100 s; of 60 there are 50 left."""
    one = standing()
    assert one.seconds_left == pytest.approx(50 / (30 / 100))
    assert (one.runs, one.done, one.failed, one.running, one.left) == (10, 4, 1, 2, 4)
    assert one.owner == "host:7"


def test_but_no_sooner_than_what_trains_now():
    assert standing(left=20.0, running=[{"started": 0.0}]).seconds_left == pytest.approx(1100.0)


@pytest.mark.parametrize(
    "change",
    [
        {"made": 0.0, "running": [{"progress": 0.0}]},  # nothing is measured
        {"made": 0.1, "left": 1000.0, "running": [{"progress": 0.001}]},  # next to nothing
        {"running": []},  # nothing trains
    ],
)
def test_nothing_is_said_before_it_is_known(change):
    one = standing(**change)
    assert one.seconds_left is None
    assert one.words().endswith("; when it ends is not known yet")


def test_words_say_what_matters():
    one = standing()
    ending = f"about 3 min more, until {status.clock(167)}"
    assert one.words() == f"4 of 10 runs are done (1 failed), 2 train now, 4 are left; {ending}"
    left = standing(running=[], alive=False).words()
    assert left.endswith("are left; nobody is at it: the same `harness sweep` or `harness run` goes on")


def test_plans_shown_are_those_somebody_is_at_and_the_last_one_if_unfinished():
    dead, done = {"alive": False}, {"alive": False, "done": 10}

    def shown(*changes):
        rows = [{**PLAN, "plan": i, "name": f"{i}", **change} for i, change in enumerate(changes)]
        return [one.name for one in status.plans(store(*rows))]

    assert shown(dead, {}, dead) == ["1", "2"]
    assert shown(dead, done) == []
    assert shown() == []


def test_the_clock_has_a_date_where_it_is_not_today():
    now = datetime.now().astimezone()
    assert status.clock(0).startswith(now.strftime("%H:"))
    assert status.clock(3 * 86_400).startswith((now + timedelta(days=3)).strftime("%a %d %b"))


def test_what_runs_and_what_failed_are_plain_data():
    now = datetime.now(UTC)
    like = {
        "attempt": 1, "owner": "host:7:1", "cell": "gru", "task": "gap-copy@1", "protocol": "quick@1",
        "gap": 8.0, "started": now - timedelta(seconds=30), "heartbeat": now - timedelta(seconds=2),
        "progress": 0.25, "outcome": None, "reason": None, "members": 4, "left": 4,
    }  # fmt: skip
    attempts = pd.DataFrame(
        [
            {**like, "outcome": "killed", "reason": "signal 9"},
            {**like, "gap": float("nan"), "outcome": "timed-out", "reason": "after 60 s"},
            {**like, "gap": 16.0, "outcome": "interrupted"},
            {**like, "gap": 32.0, "outcome": "killed", "left": 0},  # others made its runs
            like,
        ]
    )
    (running,) = status.running(attempts)
    assert running["seconds"] == pytest.approx(30, abs=1)
    assert running["seconds_left"] == pytest.approx(90, abs=3)
    assert running["heard_of"] == pytest.approx(2, abs=1)
    assert (running["owner"], running["gap"], running["members"]) == ("host:7", 8, 4)
    run = {
        "cell": "rnn", "task": "gap-copy@1", "protocol": "quick@1", "gap": 64.0, "outcome": "diverged",
        "reason": None, "lr": 0.01, "repetition": 1, "outcome_update": 312.0,
    }  # fmt: skip
    diverged, timed_out = status.failures(attempts, pd.DataFrame([run]))  # what was killed trains again
    assert (diverged["kind"], diverged["update"], diverged["lr"]) == ("run", 312, 0.01)
    assert (timed_out["kind"], timed_out["gap"], timed_out["reason"]) == ("attempt", None, "after 60 s")


def test_examples_hold():
    assert not doctest.testmod(status).failed
