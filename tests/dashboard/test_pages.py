"""The pages as Streamlit runs them, without a browser."""

import json

import pandas as pd
import pytest
import synthetic
from streamlit.testing.v1 import AppTest

from harness import stats
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import ROOT
from harness.store import Store

VARIED = QUICK.vary(updates=500)


@pytest.fixture
def store(tmp_path, monkeypatch):
    path = tmp_path / "results.db"
    monkeypatch.setenv("HARNESS_DB", str(path))
    return Store.open(str(path))


@pytest.fixture
def filled(store):
    for protocol in (QUICK, QUICK_MIXED):
        for cell in ("gru", "rnn", "lstm[layers=2]"):
            synthetic.record(store, cell, protocol=protocol)
    synthetic.record(store, "gru", "nl-birthplace@1", chance=0.05, min_gap=12)
    synthetic.record(store, "gru", protocol=VARIED, diverged=[(64, 0.01, 1)])
    return store


def visit(**query):
    """The app at an address."""
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def _vega(block):
    return block.get("vega_lite_chart") or block.get("arrow_vega_lite_chart")


def charts(app):
    """The cells and the spec of every chart."""
    specs = [json.loads(element.proto.spec) for element in _vega(app)]
    return [(spec["layer"][-1]["encoding"]["color"]["scale"]["domain"], spec) for spec in specs]


def address(app):
    """The query of the address; Streamlit's versions differ in how they hold a single value."""
    return {key: [value] if isinstance(value, str) else value for key, value in app.query_params.items()}


def headings(app):
    return [text.value.partition("**")[2].partition("**")[0] for text in app.markdown if "**" in text.value]


class TestGapCurves:
    def test_fixed_and_mixed_of_the_first_task_stand_side_by_side(self, filled):
        app = visit()
        assert app.selectbox(key="task").value == "gap-copy@1"
        assert headings(app) == ["quick@1", "quick-mixed@1"]
        assert [cells for cells, _ in charts(app)] == [["gru", "lstm[layers=2]", "rnn"]] * 2
        assert [len(_vega(column)) for column in app.columns[-2:]] == [1, 1]

    def test_the_address_chooses(self, filled):
        app = visit(task="gap-copy@1", protocol="quick@1", cell=["rnn", "gru"])
        assert headings(app) == ["quick@1"]
        assert [cells for cells, _ in charts(app)] == [["gru", "rnn"]]

    def test_a_choice_goes_into_the_address_and_the_default_out_of_it(self, filled):
        app = visit()
        assert address(app) == {}
        app.multiselect(key="cell").set_value(["gru"]).run()
        assert address(app) == {"cell": ["gru"]}
        assert [cells for cells, _ in charts(app)] == [["gru"]] * 2
        app.selectbox(key="task").set_value("nl-birthplace@1").run()
        assert address(app) == {"cell": ["gru"], "task": ["nl-birthplace@1"]}
        app.selectbox(key="task").set_value("gap-copy@1").run()
        app.multiselect(key="cell").set_value(["gru", "rnn", "lstm[layers=2]"]).run()
        assert address(app) == {}

    def test_nothing_chosen_is_said(self, filled):
        app = visit()
        app.multiselect(key="cell").set_value([]).run()
        assert charts(app) == []
        assert [info.value for info in app.info] == ["Choose a protocol and a cell."]
        assert app.multiselect(key="cell").value == []  # and does not come back by itself

    def test_what_is_not_there_is_said_and_the_rest_is_shown(self, filled):
        app = visit(task="gap-cpy@1", cell=["gur", "rnn"], protocol="slow@1")
        assert [w.value for w in app.warning] == [
            f"There are no such results: {x}" for x in ("gap-cpy@1", "slow@1", "gur")
        ]
        assert [cells for cells, _ in charts(app)] == [["rnn"]] * 2

    def test_a_varied_protocol_is_apart_and_asked_for_by_its_id(self, filled):
        app = visit()
        assert app.multiselect(key="protocol").options == ["quick@1", "quick-mixed@1", VARIED.id]
        app.multiselect(key="protocol").set_value([VARIED.id]).run()
        assert headings(app) == [VARIED.id]
        assert [cells for cells, _ in charts(app)] == [["gru"]]

    def test_numbers_are_those_of_the_statistics(self, filled):
        app = visit(protocol="quick@1")
        scores, runs = (read(task="gap-copy@1", protocol="quick@1") for read in (filled.scores, filled.runs))
        summary, points = stats.summary(scores, runs), stats.curves(scores)
        shown, behind = (table.value for table in app.dataframe)
        assert shown["cell"].tolist() == summary["cell"].tolist()
        assert shown["gap-AUC"].tolist() == pytest.approx(summary["gap_auc"].tolist())
        pd.testing.assert_frame_equal(behind, points, check_dtype=False)

    def test_failed_runs_are_named(self, filled):
        app = visit(protocol=VARIED.id)
        assert "gru: gap 64, lr 0.01, repetition 1 diverged at update 312" in app.warning[0].value
        assert not visit().warning

    def test_names_are_text_and_not_markup(self, store):
        synthetic.record(store, "my-cell[note=<b>x</b>]")
        legend = visit().get("html")[0].proto.body
        assert "&lt;b&gt;x&lt;/b&gt;" in legend


class TestResults:
    @pytest.mark.parametrize("made", [False, True])
    def test_without_results_the_commands_are_shown(self, tmp_path, monkeypatch, made):
        path = str(tmp_path / "results.db")
        monkeypatch.setenv("HARNESS_DB", path)
        if made:
            Store.open(path)
        app = visit()
        assert "There are no results yet" in app.info[0].value
        assert app.code[0].value == "harness run --cell gru --task gap-copy"
        assert (tmp_path / "results.db").exists() is made  # looking makes no store

    def test_an_error_of_the_store_is_one_line(self, tmp_path, monkeypatch):
        path = tmp_path / "results.db"
        path.write_text("this is no database, " * 100)
        monkeypatch.setenv("HARNESS_DB", str(path))
        (error,) = visit().error
        assert error.value == f"{path} is not a store: file is not a database"

    def test_results_that_come_later_are_shown(self, store):
        app = visit()
        assert app.info
        synthetic.record(store, "gru")
        app.run()
        assert [cells for cells, _ in charts(app)] == [["gru"]]
        synthetic.record(store, "rnn")
        app.run()
        assert [cells for cells, _ in charts(app)] == [["gru", "rnn"]]
