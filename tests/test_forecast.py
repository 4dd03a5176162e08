"""How long it will take, said before it starts."""

import socket
import tomllib

import pandas as pd
import pytest

from harness import forecast as module
from harness.forecast import COSTS, OVERHEAD, Forecast, Work, forecast
from harness.protocol import QUICK
from harness.registry import ROOT, cell_files, find_cell
from harness.store import Card, RunRequest, RunResult, Score, Store

WORK = Work(
    cell="gru", name="gru", task="gap-copy@1", protocol="quick@1", gap=64, hidden_size=37, parameters=8000,
    members=4, updates=1000, length=70, farthest=64, words=17,
)  # fmt: skip
NOTHING = pd.DataFrame(
    columns=[
        "cell",
        "task",
        "protocol",
        "gap",
        "hidden_size",
        "device",
        "here",
        "updates",
        "asked",
        "seconds",
    ]
)


@pytest.fixture(autouse=True)
def _speed(monkeypatch):
    """A machine as fast as the one on which the costs were measured."""
    probe = tomllib.loads(COSTS.read_text())["probe"]
    monkeypatch.setattr(module, "_speed", lambda: probe)


def past(**other):
    row = {"cell": "gru", "task": "gap-copy@1", "protocol": "quick@1", "gap": 64.0, "hidden_size": 37}
    row |= {"device": "cpu", "here": True, "updates": 3000, "asked": 4000, "seconds": 30.0}
    return pd.DataFrame([row | other])


def seconds(work=WORK, before=NOTHING, device="cpu"):
    told = forecast([work], before, device, 1)
    return told and told.whole


def test_without_a_past_it_is_what_is_known_of_the_cell():
    cost = tomllib.loads(COSTS.read_text())["microseconds"]["gru"]
    assert seconds() == pytest.approx(4 * 1000 * (70 + OVERHEAD) * cost * 1e-6)
    assert seconds(WORK._replace(members=2)) < seconds()
    assert seconds(WORK._replace(parameters=32_000)) > 2 * seconds()
    assert seconds(WORK._replace(farthest=2)) < seconds() / 2  # it is solved soon
    assert seconds(WORK._replace(words=2000)) > seconds()
    assert (
        seconds(WORK._replace(name="rnn"))
        < seconds(WORK._replace(name="mine"))
        < seconds(WORK._replace(name="transformer"))
    )


def test_a_slower_machine_takes_longer(monkeypatch):
    before = seconds()
    monkeypatch.setattr(module, "_speed", lambda: 3 * tomllib.loads(COSTS.read_text())["probe"])
    assert seconds() == pytest.approx(3 * before)


def test_what_past_runs_took_goes_before_what_is_known():
    assert seconds(before=past()) == pytest.approx(30.0)
    other = past(
        protocol="quick@1[updates=500]", asked=3000
    )  # of the same length: the pace, but not the share
    assert seconds(before=other) == pytest.approx(40.0)


@pytest.mark.parametrize(
    "other", [{"here": False}, {"device": "cuda"}, {"cell": "rnn"}, {"hidden_size": 36}], ids=str
)
def test_what_another_cell_or_machine_took_tells_only_when_it_is_solved(other):
    assert seconds(before=past(**other)) == pytest.approx(0.75 * seconds())


def test_nothing_is_said_of_a_device_that_has_not_trained():
    assert seconds(device="cuda") is None
    assert seconds(device="cuda", before=past()) is None
    assert seconds(device="cuda", before=past(device="cuda")) == pytest.approx(30.0)


def test_of_one_model_for_all_gaps_only_such_runs_tell():
    mixed = WORK._replace(protocol="quick-mixed@1", gap=None)
    assert seconds(mixed, past()) == seconds(mixed)
    assert seconds(mixed, past(protocol="quick-mixed@1", gap=float("nan"))) == pytest.approx(30.0)


def test_workers_share_the_populations():
    assert Forecast((4.0, 3.0, 3.0), 2).whole == 6.0
    assert Forecast((4.0, 3.0, 3.0), 3).whole == 4.0


def test_the_store_tells_what_training_took(tmp_path):
    store = Store.open(str(tmp_path / "store.db"))
    protocol = QUICK.vary(updates=50, gaps=(2,), lr=(0.01,))

    def record(repetitions, host):
        results = [
            RunResult(
                RunRequest(
                    *("rnn", "rnn", "0" * 12, "gap-copy@1", protocol.id, "closed"),
                    *(repetition, 0.01, 2, 74, "float32", 1),
                ),
                outcome="finished", outcome_update=None, reason=None, cell_parameters=7918, state_floats=74,
                updates=40, updates_to_solve=40, gap_auc=0.5, seconds=3.0,
                provenance={"host": host, "device": "cpu"}, scores=[Score("test", 2, 10, 5, 0.125, False)],
                curve=[],
            )
            for repetition in repetitions
        ]  # fmt: skip
        cards = [
            Card("cell", "rnn", "0" * 12, "rnn", "", "", {}),
            Card("task", "gap-copy@1", "1", "gap-copy", "", "", {}),
        ]
        attempt = store.claim([result.request for result in results], owner="here:1:1").attempt
        store.record(attempt, results, cards, (protocol.id, protocol.content()))

    record([0, 1, 2], socket.gethostname())
    record([3], "elsewhere")
    found = store.took(tasks=["gap-copy@1"]).sort_values("here").to_dict("records")
    same = {
        "cell": "rnn",
        "task": "gap-copy@1",
        "protocol": protocol.id,
        "gap": 2,
        "hidden_size": 74,
        "device": "cpu",
    }
    assert [{key: row[key] for key in same} for row in found] == [same, same]
    assert [(row["here"], row["updates"], row["asked"], row["seconds"]) for row in found] == [
        (False, 40, 50, 3.0), (True, 120, 150, 9.0),
    ]  # fmt: skip
    assert store.took(tasks=["gap-latch@1"]).empty


def test_every_published_cell_is_known():
    known = tomllib.loads(COSTS.read_text())["microseconds"]
    published = {
        find_cell(name).name for name in cell_files() if find_cell(name).file.path.is_relative_to(ROOT)
    }
    assert set(known) == published
