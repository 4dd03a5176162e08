"""What readers see of a store, on every database."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from harness.store import Point, Score

SCORE = list(Score._fields)


def test_its_scores_are_counts_with_what_they_are_of(store, make):
    result = make.result()
    make.record(store, result)
    scores = store.scores()
    assert [*scores[SCORE].itertuples(index=False, name=None)] == sorted(result.scores)
    asked = asdict(result.request)
    asked["trained_gap"] = asked.pop("gap")
    for name, value in {**asked, "run": 1, "outcome": "finished"}.items():
        assert list(scores[name]) == [value, value]


def test_its_learning_curve_knows_what_is_not_known(store, make):
    curve = [
        Point(1, 2.5, 0.125),
        Point(2, float("nan"), 0.5),
        Point(3, float("inf"), None),
        Point(4, None, 1.0),
    ]
    make.record(store, make.result(curve=curve))
    make.record(store, make.result(make.request(repetition=1)))
    read = store.learning([1])
    expected = pd.DataFrame(
        {
            "run": 1,
            "update": [1, 2, 3, 4],
            "loss": [2.5, np.nan, np.nan, np.nan],
            "accuracy": [0.125, 0.5, np.nan, 1.0],
        }
    )
    pd.testing.assert_frame_equal(read, expected)


def test_a_failed_run_has_no_counts(store, make):
    make.record(store, make.failed(make.request()))
    run, scores = store.runs().iloc[0], store.scores()
    assert (run["outcome"], run["outcome_update"]) == ("diverged", 37)
    assert scores["n_correct"].isna().all()
    assert (scores["chance"] == 0.125).all()


def test_cards_and_entries(store, make):
    request = make.request()
    make.record(store, make.result(request), make.result(replace(request, repetition=1)))
    make.record(store, make.result(replace(request, protocol="quick-mixed@1", gap=None)))
    cell, task = make.cards(request)
    assert store.card("cell", "lstm[layers=2]") == cell
    assert store.card("task", "gap-copy@1") == task
    assert store.card("task", "lstm[layers=2]") is None
    entries = store.entries()[["cell", "task", "protocol", "division", "repetitions"]]
    assert [*entries.itertuples(index=False, name=None)] == [
        ("lstm[layers=2]", "gap-copy@1", "quick-mixed@1", "closed", 1),
        ("lstm[layers=2]", "gap-copy@1", "quick@1", "closed", 2),
    ]


def test_types_do_not_depend_on_what_is_there(store, make):
    """A column of an empty frame, of one without a missing number and of one of only such has one type."""
    readers = ("runs", "scores", "attempts", "entries")
    empty = [getattr(store, reader)() for reader in readers] + [store.learning([])]
    assert all(len(frame) == 0 for frame in empty)
    make.record(store, make.failed(make.request(gap=None)))
    failed = [getattr(store, reader)() for reader in readers] + [store.learning([1])]
    make.record(store, make.result(outcome_update=1, updates_to_solve=1, reason="x", curve=[Point(1, 1, 1)]))
    full = [getattr(store, reader)().tail(1) for reader in readers] + [store.learning([2])]
    for e, x, f in zip(empty, failed, full, strict=True):
        # pandas dates of nothing have a resolution of their own
        assert (
            [str(t)[:10] for t in e.dtypes]
            == [str(t)[:10] for t in x.dtypes]
            == [str(t)[:10] for t in f.dtypes]
        )
        assert list(e.columns) == list(x.columns) == list(f.columns)


def test_readers_choose(store, make):
    one, other = make.request(), make.request(cell="gru", cell_name="gru", task="nl-birthplace@2")
    make.record(store, make.result(one))
    make.record(store, make.result(other))
    for read in (store.runs, store.scores):
        assert set(read()["run"]) == {1, 2}
        assert set(read(task="gap-copy@1")["run"]) == {1}
        assert set(read(task="gap-copy@1", cells=["gru"])["run"]) == set()
        assert set(read(cells=["gru", "rnn"])["run"]) == {2}
        assert set(read(protocol="quick@1")["run"]) == {1, 2}
        assert set(read(protocol="quick@2")["run"]) == set()
        assert set(read(keys=[other.key, "none"])["run"]) == {2}


def test_readers_see_the_newest_version_of_a_name(store, make):
    old, new = make.request(cell="lstm"), make.request(cell_version="b2", task="nl-birthplace@2")
    gru = make.request(cell="gru", cell_name="gru")
    for request in (old, replace(old, repetition=1), gru, new):
        make.record(store, make.result(request))
    assert list(store.runs()["run"]) == [3, 4]
    assert set(store.scores()["run"]) == {3, 4}
    assert set(store.entries()["cell_version"]) == {"a1", "b2"}
    assert store.scores(task="gap-copy@1", cells=["lstm"]).empty
    assert list(store.runs(keys=[old.key])["run"]) == [1]
    assert set(store.scores(keys=[old.key])["run"]) == {1}
    assert store.finished([old.key]) == {old.key}
    store.retract(4, "a slip in the source")
    assert list(store.runs()["run"]) == [1, 2, 3]


def test_readers_see_the_newest_numerics(store, make):
    make.record(store, make.result())
    make.record(store, make.result(make.request(numerics=2)))
    assert list(store.runs()["run"]) == [2]


def test_trials_have_the_mean_accuracy_on_validation_of_the_trained_gaps(store, make):
    request = make.request(gap=None, protocol="quick-mixed@1")
    scores = [
        Score(split, gap, 1000, right, 0.125, gap > 64)
        for split, rights in {"validation": (900, 500, 100), "test": (1, 2, 3)}.items()
        for gap, right in zip((2, 64, 128), rights, strict=True)
    ]
    failed = make.request(gap=None, protocol="quick-mixed@1", repetition=1)
    lost = [score._replace(n_correct=None) for score in scores]
    results = [
        make.result(request, scores=scores, provenance={"device": "cuda"}),
        make.result(failed, scores=lost, outcome="diverged", gap_auc=None),
    ]
    make.record(store, *results)
    make.record(store, make.result(make.request(repetition=2)))
    trials = store.trials(tasks=["gap-copy@1"], protocol="quick-mixed@1")
    assert trials["repetition"].tolist() == [0, 1]
    assert trials["validation"].tolist() == pytest.approx([0.7, 0.125])
    assert trials["device"].iloc[0] == "cuda"
    tested = store.tested(trials["run"])
    expected = [(right / 1000 - 0.125) / 0.875 for right in (1, 2, 3)] + [0, 0, 0]
    assert tested.sort_values(["run", "gap"])["reached"].tolist() == pytest.approx(expected)
    assert store.trials(tasks=["other@1"], protocol="quick-mixed@1").empty


def test_a_protocol_is_what_its_runs_were_recorded_under(store, make):
    make.record(store, make.result())
    assert store.protocol("quick@1") == {"updates": 1000}
    assert store.protocol("quick@2") is None
