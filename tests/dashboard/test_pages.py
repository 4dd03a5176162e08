"""The pages as Streamlit runs them, without a browser."""

import doctest
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
import states
import synthetic
from streamlit.testing.v1 import AppTest

from dashboard import drawn, results
from harness import board, exchange, stats
from harness.errors import UserError
from harness.protocol import PROTOCOLS, QUICK, QUICK_MIXED
from harness.registry import ROOT, find_task, suite
from harness.store import RunRequest, Store
from harness.store.database import BUSY_SECONDS

VARIED = QUICK.vary(updates=500)


@pytest.fixture
def store(tmp_path, monkeypatch):
    path = tmp_path / "results.db"
    monkeypatch.setenv("HARNESS_DB", str(path))
    return Store.open(str(path))


@pytest.fixture(scope="module")
def _filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "results.db"
    store = Store.open(str(path))
    for protocol in (QUICK, QUICK_MIXED):
        for cell in ("gru", "rnn", "lstm[layers=2]"):
            synthetic.record(store, cell, protocol=protocol)
    synthetic.record(store, "gru", "nl-birthplace@2", chance=0.05, min_gap=12)
    synthetic.record(store, "gru", protocol=VARIED, diverged=[(64, 0.01, 1)])
    return path


@pytest.fixture
def filled(_filled, tmp_path, monkeypatch):
    path = shutil.copy(_filled, tmp_path / "results.db")
    monkeypatch.setenv("HARNESS_DB", str(path))
    return Store.open(str(path))


def visit(page="gap_curves", **query):
    """A page at an address; `app` is the whole, at its first page."""
    lines = f"from dashboard import {page}\n{page}.page()\n"
    app = (
        AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
        if page == "app"
        else AppTest.from_string(lines, default_timeout=60)
    )
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
    return [(spec.get("layer", [spec])[-1]["encoding"]["color"]["scale"]["domain"], spec) for spec in specs]


def address(app):
    """The query of the address; Streamlit's versions differ in how they hold a single value."""
    return {key: [value] if isinstance(value, str) else value for key, value in app.query_params.items()}


def headings(app):
    return re.findall(r"<b>(.*?)</b> –", html(app))


def html(app):
    """All that is drawn as HTML."""
    return "\n".join(element.proto.body for element in app.get("html"))


def cells_of(table):
    """The rows of an HTML table, as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", table)
    return [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row)] for row in rows
    ]


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
        app.selectbox(key="task").set_value("nl-birthplace@2").run()
        assert address(app) == {"cell": ["gru"], "task": ["nl-birthplace@2"]}
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

    def test_a_name_without_its_version_is_that_of_what_is_there(self, filled):
        app = visit(task="nl-birthplace", protocol="quick")
        assert not app.warning
        assert app.selectbox(key="task").value == "nl-birthplace@2"
        assert headings(app) == ["quick@1"]

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
        assert "&lt;b&gt;x&lt;/b&gt;" in html(visit())
        assert "<b>x</b>" not in html(visit())


@pytest.fixture(scope="module")
def _suite_filled(tmp_path_factory):
    store = Store.open(str(tmp_path_factory.mktemp("suite") / "results.db"))
    synthetic.fill_suite(store, {"gru": 10, "lstm": 5, "rnn": 2})
    synthetic.record(store, "clockwork", protocol=QUICK_MIXED)
    return store


@pytest.fixture
def suite_filled(_suite_filled, monkeypatch):
    """A board of four statuses."""
    monkeypatch.setenv("HARNESS_DB", str(_suite_filled.database.path))
    return _suite_filled


class TestLeaderboard:
    def test_is_the_first_page_and_shows_the_board_as_it_is(self, suite_filled):
        app = visit("app")
        assert app.title[0].value == "Leaderboard"
        rows = board.read(suite_filled, "quick-mixed@1").rows
        head, *shown = cells_of(html(app).partition("Task by task")[0])[:5]
        shown = [dict(zip(head, row, strict=True)) for row in shown]
        assert [row["cell"].split("&nbsp;")[1] for row in shown] == rows["cell"].tolist()
        assert [(row["rank"], row["tie"]) for row in shown] == [stats.rank_text(r) for r in rows.itertuples()]
        assert [row["status"] for row in shown] == [
            "full (10)", "provisional (5)", "unranked (2)", "incomplete (1 of 18 tasks)",
        ]  # fmt: skip
        first = rows.iloc[0]
        assert shown[0]["score"] == f"{first['score']:.3f} [{first['low']:.3f}, {first['high']:.3f}]"
        assert shown[3]["rank"] == shown[3]["score"] == "–"

    def test_what_lacks_something_is_shown_with_its_command(self, suite_filled):
        app = visit("leaderboard")
        completes, made = map(unescape, re.findall(r"<pre class=commands>(.*?)</pre>", html(app), re.DOTALL))
        rows = board.read(suite_filled, "quick-mixed@1").rows.set_index("cell")
        for cell in ("lstm", "rnn", "clockwork"):
            assert f"# {cell} is {rows['status'][cell]}" in completes
            assert rows["completes"][cell] in completes.splitlines()
        assert "gru" not in completes
        assert made.splitlines() == rows["command"].tolist()

    def test_filters_and_order_are_those_of_the_address(self, suite_filled):
        def shown(**query):
            return re.findall(
                r"cell\?cell=(\w+)", html(visit("leaderboard", **query)).partition("</table>")[0]
            )

        assert shown() == ["gru", "lstm", "rnn", "clockwork"]
        assert shown(find="U") == ["gru"]
        assert shown(status=["unranked", "incomplete"], sort="name") == ["clockwork", "rnn"]
        assert shown(sort="training seconds") == ["clockwork", "rnn", "lstm", "gru"]
        assert shown(state="64") == ["gru", "lstm", "clockwork"]

    def test_a_choice_goes_into_the_address(self, suite_filled):
        app = visit("leaderboard")
        app.text_input(key="find").set_value("rnn").run()
        app.selectbox(key="sort").set_value("name").run()
        assert address(app) == {"find": ["rnn"], "sort": ["name"]}
        app.text_input(key="find").set_value("").run()
        app.selectbox(key="sort").set_value("rank").run()
        assert address(app) == {}

    def test_results_beside_the_suite_alone_are_told_of(self, store):
        synthetic.record(store, "gru", "my-own-task@1")
        app = visit("leaderboard")
        assert "There are no results on the suite yet" in app.info[0].value


class TestCell:
    def test_its_card_and_all_its_curves(self, filled):
        app = visit("cell", cell="gru")
        assert app.code[0].value == synthetic.SOURCE.strip()
        assert "gru: a cell." in [text.value for text in app.markdown]
        assert [cells for cells, _ in charts(app)] == [["gru"]] * 3  # two tasks, and how it learned on one
        assert {m.label: m.value for m in app.metric} == {
            "Hidden size": "40", "Parameters": "7,920", "State (floats)": "40", "Tasks": "2",
            "Runs": "40", "Failed runs": "0", "Training (s)": "50",
        }  # fmt: skip
        assert app.dataframe[0].value["task"].tolist() == ["gap-copy@1", "nl-birthplace@2"]

    def test_a_reference_is_called_so(self, store, monkeypatch):
        source = "class Cell:\n    reference = True\n"
        synthetic.record(store, "reservoir", protocol=QUICK_MIXED, source=source)
        monkeypatch.setenv("HARNESS_DB", str(store.database.path))
        assert "A reference" in visit("cell").caption[0].value
        assert cells_of(html(visit("leaderboard")))[1][2].endswith("reservoir reference")

    def test_what_was_not_measured_here_is_called_reported(self, store, tmp_path, monkeypatch):
        synthetic.record(store, "gru", protocol=QUICK_MIXED, repetitions=range(3))
        other = Store.open(str(tmp_path / "other.db"))
        synthetic.record(other, "gru", protocol=QUICK_MIXED, repetitions=(0,))
        synthetic.record(other, "rnn", protocol=QUICK_MIXED)
        other.add(list(store.everything()))
        monkeypatch.setenv("HARNESS_DB", str(other.database.path))
        assert {m.label: m.value for m in visit("cell", cell="gru").metric}["Reported runs"] == "4"
        assert "Reported runs" not in [m.label for m in visit("cell", cell="rnn").metric]
        app = visit("leaderboard")
        shown = {row[2].split("&nbsp;")[1] for row in cells_of(html(app).partition("Task by task")[0])[1:3]}
        assert shown == {"gru partly reported", "rnn"}
        assert "4 of 6 runs came from a file" in html(app)
        assert "Reported: came from a file" in app.caption[0].value

    def test_what_it_has_to_fail_is_named_with_its_reason(self, store):
        source = 'class Cell:\n    expected_failures = {"gradient": "it is <frozen>"}\n'
        synthetic.record(store, "ice", protocol=QUICK_MIXED, source=source)
        said = "Expected to fail, of the checks of cells: **gradient**, it is \\<frozen\\>"
        assert said in [info.value for info in visit("cell").info]
        app = visit("leaderboard")
        assert cells_of(html(app))[1][2].endswith("ice expected failure")
        assert 'title="Has to fail a check of cells: gradient: it is &lt;frozen&gt;"' in html(app)
        assert any(c.value.startswith("ice is expected to fail: **gradient**") for c in app.caption)

    def test_failed_runs_have_no_learning_curve(self, store):
        every = [(64, lr, repetition) for lr in QUICK.lr for repetition in (0, 1)]
        synthetic.record(store, "gru", protocol=QUICK, only=[64], diverged=every)
        app = visit("cell")
        assert app.info[0].value == "No run of these has a learning curve."
        assert len(charts(app)) == 1


class TestTask:
    def test_samples_are_those_of_the_task_with_their_roles_marked(self, filled):
        app = visit("task", task="nl-birthplace@2", gap="20", sample="3")
        task = find_task("nl-birthplace")
        assert any(task.ability in text.value for text in app.markdown)
        samples = re.findall(r"<div class=sample>(.*?)</div>", html(app))
        batch = task.batch("train", 0, 20, 2, len(samples))
        for row, sample in enumerate(samples):
            spans = task.render(batch, row)
            for role in {span.role for span in spans}:
                marked = "".join(re.findall(f"<mark class={role.name.lower()} .*?>(.*?)</mark>", sample))
                words = "".join(span.text for span in spans if span.role == role)
                assert marked.replace(" ", "") == words.replace(" ", "")
            assert re.findall(r"class=answer.*?>(.*?)<", sample) == [s.answer for s in spans if s.answer]
        assert [cells for cells, _ in charts(app)] == [["gru"]]

    def test_what_it_has_to_fail_is_named_with_its_reason(self, filled):
        (check, why), *_ = find_task("nl-passkey").expected_failures.items()
        (info,) = visit("task", task="nl-passkey@2").info[:1]
        assert info.value.startswith("Expected to fail, of the checks of tasks: ")
        assert f"**{check}**, {drawn.words(why)}" in info.value

    def test_a_gap_out_of_reach_becomes_the_smallest(self, filled):
        assert visit("task", task="nl-birthplace@2", gap="3").number_input(key="gap").value == 12

    def test_a_task_without_results_shows_the_command(self, filled):
        app = visit("task", task="gap-echo@1")
        assert app.code[-1].value == "harness run --cell all --task gap-echo@1"

    def test_a_task_that_is_not_here_is_remembered(self, store):
        synthetic.record(store, "gru", "my-own-task@1")
        app = visit("task", task="my-own-task@1")
        assert "no samples: unknown task 'my-own-task'" in app.warning[0].value
        assert "class Task" in [code.value for code in app.code][1]
        assert len(charts(app)) == 1


class TestRuns:
    def request(self):
        return RunRequest(
            *("lstm[layers=2]", "lstm", "0" * 12, "gap-copy@1", "quick@1", "closed"),
            *(0, 0.01, 64, 40, "float32", 1),
        )

    def test_what_runs_is_shown_before_there_is_any_result(self, store):
        number = store.claim([self.request()], owner=f"{socket.gethostname()}:{os.getpid()}:1").attempt
        store.beat({number: 0.37})
        app = visit("runs")
        assert app.subheader[0].value == "Running now: 1"
        assert "37%" in app.get("progress")[0].proto.text
        assert "gap 64" in app.get("progress")[0].proto.text

    def test_what_is_left_of_a_sweep_is_shown_and_when_it_ends(self, store):
        owner = f"{socket.gethostname()}:{os.getpid()}:1"
        requests = [replace(self.request(), repetition=i) for i in range(4)]
        store.plan("my_sweep.toml", owner, {request.key: 1.0 for request in requests})
        app = visit("runs")
        assert app.subheader[0].value == "my\\_sweep.toml"
        (bar,) = app.get("progress")
        assert bar.proto.text == "0 of 4 runs are done, 4 are left; when it ends is not known yet"
        number = store.claim(requests[:2], owner=owner).attempt
        store.beat({number: 0.5})
        app = visit("runs")
        bar, of_attempt = (bar.proto for bar in app.get("progress"))
        assert bar.value == 0
        assert bar.text.startswith("0 of 4 runs are done, 2 train now, 2 are left; about ")
        assert "50%" in of_attempt.text
        by = drawn.words(f"by process {socket.gethostname()}:{os.getpid()}")
        assert [by in caption.value for caption in app.caption] == [True, True]

    def test_failures_are_shown_with_their_reasons(self, filled):
        attempt = filled.claim([self.request()], owner="there:1:1").attempt
        filled.end(attempt, "out-of-memory", "20 GB are too much")
        app = visit("runs")
        unfinished, finished, failed = (table.value for table in app.dataframe)
        assert unfinished[["cell", "outcome", "reason"]].values.tolist() == [
            ["lstm[layers=2]", "out-of-memory", "20 GB are too much"]
        ]
        assert len(finished) == 20  # the last of them
        assert failed[["cell", "gap", "outcome", "at update"]].values.tolist() == [
            ["gru", "64", "diverged", 312]
        ]

    def test_what_others_have_made_since_is_not_unfinished(self, filled):
        version = hashlib.sha256(synthetic.SOURCE.encode()).hexdigest()[:12]
        request = replace(self.request(), cell="mgu", cell_name="mgu", cell_version=version)
        filled.end(filled.claim([request], owner="there:1:1").attempt, "killed")
        nothing = "Nothing is left of any attempt that ended."
        assert nothing not in [text.value for text in visit("runs").markdown]
        synthetic.record(filled, "mgu")
        assert nothing in [text.value for text in visit("runs").markdown]


class TestMethods:
    def test_tells_of_every_protocol_and_task_without_a_store(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HARNESS_DB", str(tmp_path / "results.db"))
        app = visit("methods")
        assert list(app.table[0].value.columns) == [protocol.id for protocol in PROTOCOLS.values()]
        assert app.dataframe[0].value["task"].tolist() == list(suite())


def test_examples_hold():
    done = doctest.testmod(drawn)
    assert done.attempted
    assert not done.failed


def test_a_curve_in_a_row_goes_through_its_points():
    picture = drawn.curve("gru", {2: 1.0, 8: 0.5, 32: 0.0}, (2, 8, 32), trained=8)
    assert 'aria-label="Normalised accuracy, gap 2: 1.00, gap 8: 0.50, gap 32: 0.00"' in picture
    (outline,) = re.findall(r"polygon\((.*?)\)", picture)
    corners = [[float(x) for x in corner.removesuffix("px").split("px ")] for corner in outline.split(", ")]
    upper, lower = corners[:3], corners[:2:-1]
    middle = [(a + b) / 2 for pair in zip(upper, lower, strict=True) for a, b in zip(*pair, strict=True)]
    assert middle == pytest.approx([4, 4, 60, 17, 116, 30])
    assert "--beyond: 88px" in picture  # halfway between 8 and 32
    assert "--beyond: 120px" in drawn.curve("gru", {2: 1.0}, (2, 8), trained=8)


def test_a_score_in_a_row_lies_within_its_interval():
    picture = drawn.score("gru", 0.5, 0.25, 1.0)
    assert 'aria-label="0.500, from 0.250 to 1.000, between 0 and 1"' in picture
    assert "--low: 32.0px; --wide: 84.0px; --at: 60.0px" in picture


class TestResults:
    PAGES = ("leaderboard", "gap_curves", "cell", "task", "runs")

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("name", states.SAID)
    def test_every_page_says_what_is_wrong_with_the_store_and_what_to_do(
        self, tmp_path, monkeypatch, page, name
    ):
        path = tmp_path / "shared.db"
        monkeypatch.setenv("HARNESS_DB", str(path))
        monkeypatch.setattr(results, "WAIT_SECONDS", 0.05)
        with states.state(name, path):
            (error,) = visit(page).error
        assert all(part in error.value for part in (str(path), *states.SAID[name]))

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("made", [False, True])
    def test_every_page_is_of_use_without_results(self, tmp_path, monkeypatch, page, made):
        path = tmp_path / "results.db"
        monkeypatch.setenv("HARNESS_DB", str(path))
        if made:
            Store.open(str(path))
        app = visit(page)
        shown = [element.value for element in [*app.info, *app.code, *app.markdown]]
        assert any("harness run" in text or "Nothing is being trained" in text for text in shown)

    def test_a_store_that_fails_under_way_is_one_line_and_tried_again(self, filled, monkeypatch):
        def locked(*_, **__):
            raise UserError("it is locked")

        with monkeypatch.context() as patch:
            patch.setattr(Store, "entries", locked)
            app = visit("app")
            assert [error.value for error in app.error] == ["it is locked"]
        app.run()
        assert not app.error
        assert cells_of(html(app))

    def test_a_locked_store_is_told_of_soon(self, store):
        with closing(sqlite3.connect(store.database.path)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("PRAGMA journal_mode = DELETE")
            other.execute("BEGIN EXCLUSIVE")
            start = time.monotonic()
            (error,) = visit("leaderboard").error
            assert time.monotonic() - start < BUSY_SECONDS  # which a writer would wait
        assert "is locked by another process" in error.value

    def test_the_reference_results_are_a_click_away(self, store, tmp_path, monkeypatch):
        synthetic.record(store, "gru")
        file = tmp_path / "reference.jsonl"
        exchange.export(store, file)
        monkeypatch.setattr(exchange, "REFERENCE", file)
        monkeypatch.setenv("HARNESS_DB", str(tmp_path / "new.db"))
        app = visit()
        app.button[0].click().run()
        assert [cells for cells, _ in charts(app)] == [["gru"]]

    def test_reference_results_that_do_not_add_up_are_told_of(self, tmp_path, monkeypatch):
        file = tmp_path / "reference.jsonl"
        file.write_text("no JSON")
        monkeypatch.setattr(exchange, "REFERENCE", file)
        monkeypatch.setenv("HARNESS_DB", str(tmp_path / "new.db"))
        app = visit()
        app.button[0].click().run()
        assert not app.exception
        assert app.error[0].value.startswith("reference, line 1: not JSON")

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
        assert error.value == f"{path} is not a store: file is not a database; give another one with --db"

    def test_results_that_come_later_are_shown(self, store):
        app = visit()
        assert app.info
        synthetic.record(store, "gru")
        app.run()
        assert [cells for cells, _ in charts(app)] == [["gru"]]
        synthetic.record(store, "rnn")
        app.run()
        assert [cells for cells, _ in charts(app)] == [["gru", "rnn"]]
