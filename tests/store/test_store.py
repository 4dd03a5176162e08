"""What a store promises, on every database."""

import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy.exc import IntegrityError

from harness.errors import UserError
from harness.store import Score, Store, schema

MEASURED = [
    *("outcome", "cell_parameters", "state_floats", "updates", "updates_to_solve", "gap_auc", "seconds"),
    "provenance",
]


def test_a_run_is_read_as_it_was_recorded(store, make):
    result = make.result()
    make.record(store, result)
    row = store.runs().iloc[0].to_dict()
    assert row == {
        "run": 1,
        **asdict(result.request),
        **{name: getattr(result, name) for name in MEASURED},
        "reason": None,
        "reported": False,
        "outcome_update": row["outcome_update"],
        "created": row["created"],
    }
    assert np.isnan(row["outcome_update"])
    assert abs(row["created"].timestamp() - time.time()) < 60


def test_recording_again_changes_nothing(store, make):
    request = make.request()
    attempt = store.claim([request], owner=make.owner).attempt
    cards, protocol = make.cards(request), ("quick@1", {})
    store.record(attempt, [make.result()], cards, protocol)
    before = store.runs(), store.scores(), store.learning([1])
    store.record(attempt, [make.result(gap_auc=0.1, scores=[], curve=[])], cards, protocol)
    for read, was in zip((store.runs(), store.scores(), store.learning([1])), before, strict=True):
        pd.testing.assert_frame_equal(read, was)


def test_finished_tells_what_needs_no_training(store, make):
    requests = [make.request(repetition=i) for i in range(3)]
    make.record(store, make.result(requests[0]), make.failed(requests[1]))
    assert store.finished(r.key for r in requests) == {requests[0].key, requests[1].key}
    assert store.finished([]) == set()


def test_finished_takes_any_number_of_keys(store, make):
    make.record(store, make.result())
    assert store.finished([make.request().key, *map(str, range(100_000))]) == {make.request().key}


def test_a_recording_is_there_whole_or_not_at_all(store, make):
    good, request = make.result(), make.request(repetition=1)
    wrong = make.result(request, scores=[Score("test", 16, 10, 11, 0.125, False)])
    with pytest.raises(IntegrityError):
        make.record(store, good, wrong)
    assert store.counts() == {"runs": 0, "retracted": 0, "attempts": 1}
    assert store.card("cell", "lstm[layers=2]") is None
    assert store.runs().empty
    assert store.scores().empty


def test_a_run_needs_its_cards_its_protocol_and_an_attempt(store, make):
    request = make.request()
    attempt = store.claim([request], owner=make.owner).attempt
    cell, task = make.cards(request)
    with pytest.raises(ValueError, match="no card is given of 'gap-copy@1'"):
        store.record(attempt, [make.result(request)], [cell], ("quick@1", {}))
    with pytest.raises(ValueError, match=r"no card is given of \('lstm"):
        store.record(attempt, [make.result(request)], [replace(cell, version="other"), task], ("quick@1", {}))
    with pytest.raises(ValueError, match="under quick@1 cannot be recorded under quick@2"):
        store.record(attempt, [make.result(request)], [cell, task], ("quick@2", {}))
    with pytest.raises(ValueError, match="there is no attempt 7"):
        store.record(7, [make.result(request)], [cell, task], ("quick@1", {}))
    assert store.counts()["runs"] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET gap_auc = 1",
        "UPDATE runs SET lr = 1, retracted = 1",
        "UPDATE scores SET n_correct = 1024",
        "UPDATE points SET loss = 0",
        "DELETE FROM points",
        "DELETE FROM scores",
        "DELETE FROM runs",
    ],
)
def test_the_database_refuses_to_change_what_was_measured(store, make, sql, statement):
    make.record(store, make.result())
    before = store.runs(), store.scores(), store.learning([1])
    with pytest.raises(IntegrityError, match="immutable"):
        sql(statement)
    for read, was in zip((store.runs(), store.scores(), store.learning([1])), before, strict=True):
        pd.testing.assert_frame_equal(read, was)


def test_every_column_of_a_run_is_measured_or_of_its_retraction(store, make, sql):
    """A column added later must be guarded too."""
    make.record(store, make.result())
    for name in {column.name for column in schema.runs.columns} - {"retracted", "retraction"}:
        with pytest.raises(IntegrityError, match="immutable"):
            sql(f"UPDATE runs SET {name} = {name}")


def test_the_database_holds_one_run_of_a_key(store, make, sql):
    make.record(store, make.result())
    columns = ", ".join(column.name for column in schema.runs.columns if column.name != "id")
    with pytest.raises(IntegrityError):
        sql(f"INSERT INTO runs ({columns}) SELECT {columns} FROM runs")


def test_a_retracted_run_is_hidden_and_may_be_trained_anew(store, make, sql):
    make.record(store, make.result(), make.result(make.request(repetition=1)))
    store.retract(1, "the GPU was faulty")
    key = make.request().key
    assert store.finished([key]) == set()
    assert set(store.runs()["run"]) == set(store.scores()["run"]) == {2}
    assert store.runs(keys=[key]).empty
    assert store.counts() == {"runs": 1, "retracted": 1, "attempts": 1}
    assert sql("SELECT id, retraction FROM runs WHERE retracted IS NOT NULL") == [(1, "the GPU was faulty")]
    make.record(store, make.result(gap_auc=0.5))
    assert store.runs(keys=[key])[["run", "gap_auc"]].to_dict("records") == [{"run": 3, "gap_auc": 0.5}]


@pytest.mark.parametrize("run", [1, 2])
def test_only_a_run_that_counts_can_be_retracted(store, make, run):
    make.record(store, make.result())
    store.retract(1, "why")
    with pytest.raises(UserError, match=f"there is no run {run} in .*, or it is retracted already"):
        store.retract(run, "why")


def test_text_and_plain_data_come_back(store, make):
    text = 'ÆØÅ ‘quoted’ \\n 100% "x" :y; DROP TABLE runs\n→'
    provenance = {"text": text, "list": [1, 2.5, None, True], "nested": {"a": {}}}
    request = make.request(cell=text)
    make.record(store, make.result(request, outcome="crashed", reason=text, provenance=provenance))
    row = store.runs(cells=[text]).iloc[0]
    assert (row["cell"], row["reason"], row["provenance"]) == (text, text, provenance)


def test_runs_of_one_session_share_their_provenance(store, make, sql):
    make.record(store, make.result(), make.result(make.request(repetition=1)))
    make.record(store, make.result(make.request(repetition=2), provenance={"threads": 2, "torch": "2.13"}))
    assert sql("SELECT count(*) FROM provenances") == [(1,)]


def test_a_store_is_opened_again(store, url, make):
    make.record(store, make.result())
    assert Store.open(url).counts() == Store.open(url, create=False).counts() == store.counts()
