"""Results as text and back."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import synthetic

from harness import exchange, stats
from harness.errors import UserError
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import find_task
from harness.store import Point, Store

TEXT = find_task("nl-birthplace")
SHORT = QUICK.vary(gaps=(2, 32))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    store = Store.open(str(tmp_path_factory.mktemp("store") / "results.db"))
    for cell in ("gru", "lstm[layers=2]"):
        synthetic.record(store, cell, protocol=SHORT, diverged=[(32, 0.01, 1)])
        synthetic.record(store, cell, protocol=QUICK_MIXED)
        given = {"chance": TEXT.chance(12), "min_gap": TEXT.min_gap, "queries": 1}
        synthetic.record(store, cell, TEXT.id, SHORT, repetitions=range(5), **given)
    return store


@pytest.fixture(scope="module")
def file(filled, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "results.jsonl"
    exchange.export(filled, path)
    return path


@pytest.fixture
def empty(tmp_path):
    return Store.open(str(tmp_path / "results.db"))


def told(record):
    """As it is in a file: learning curves have four digits, and the host has no name."""
    curve = [Point(p.update, *(float(f"{x:.4g}") for x in p[1:])) for p in record.result.curve]
    provenance = {name: value for name, value in record.result.provenance.items() if name != "host"}
    return record._replace(result=replace(record.result, curve=curve, provenance=provenance))


def same(one, other):
    """Whether two stores hold the same, whatever the numbers of their runs, and measured here or not."""
    assert list(map(told, one.everything())) == list(map(told, other.everything()))
    frames = []
    for store in (one, other):
        scores, runs = store.scores(), store.runs()
        frames.append((stats.curves(scores), stats.summary(scores, runs).drop(columns="reported")))
    for a, b in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert one.counts()["runs"] == other.counts()["runs"]


class TestRoundTrip:
    def test_an_empty_store_becomes_the_same_and_twice_changes_nothing(self, filled, file, empty):
        records = exchange.read(str(file))
        assert empty.add(records) == filled.counts()["runs"]
        same(filled, empty)
        assert empty.add(records) == 0
        same(filled, empty)
        assert list(exchange.write(empty)) == file.read_text(encoding="utf-8").splitlines()

    def test_learning_curves_and_cards_come_along(self, filled, file, empty):
        empty.add(exchange.read(str(file)))
        for store in (filled, empty):
            runs = store.runs(task="gap-copy@1", protocol=QUICK_MIXED.id, cells=["gru"])
            curve = store.learning(runs["run"]).drop(columns="run")
            assert len(curve) == 4 * len(range(32, 1001, 32))
        assert empty.card("cell", "gru") == filled.card("cell", "gru")
        assert set(empty.attempts()["outcome"]) == {"finished"}
        assert empty.attempts()["members"].sum() == empty.counts()["runs"]

    def test_the_name_of_the_host_stays_behind(self, filled, file, empty):
        assert '"host"' not in file.read_text(encoding="utf-8")
        empty.add(exchange.read(str(file)))
        tasks = list(set(filled.entries()["task"]))
        assert not empty.took(tasks=tasks)["here"].any()  # whatever it is called

    def test_what_is_in_both_stays_as_it_is(self, filled, file, empty):
        synthetic.record(empty, "gru", protocol=SHORT, repetitions=(0, 7))
        before = empty.runs()
        new = empty.add(exchange.read(str(file)))
        assert new == filled.counts()["runs"] - 4
        assert empty.runs()["run"].tolist()[: len(before)] == before["run"].tolist()

    def test_what_came_from_a_file_is_reported_and_what_was_measured_here_is_not(
        self, filled, file, empty, tmp_path
    ):
        synthetic.record(empty, "gru", protocol=SHORT)
        measured = set(empty.runs()["run"])
        empty.add(exchange.read(str(file)))
        runs = empty.runs()
        assert (runs["reported"] == ~runs["run"].isin(measured)).all()
        exchange.export(empty, tmp_path / "all.jsonl")
        other = Store.open(str(tmp_path / "other.db"))
        other.add(exchange.read(str(tmp_path / "all.jsonl")))
        assert other.runs()["reported"].all()
        assert filled.add(exchange.read(str(tmp_path / "all.jsonl"))) == 0
        assert not filled.runs()["reported"].any()

    def test_the_newest_source_stays_the_newest(self, empty, tmp_path):
        for source in ("b: a newer name in the alphabet\n", "a: an older one, recorded last\n"):
            synthetic.record(empty, "gru", protocol=SHORT, source=source)
        newest = exchange.digest(source)[:12]
        exchange.export(empty, tmp_path / "file.jsonl")
        other = Store.open(str(tmp_path / "other.db"))
        assert other.add(exchange.read(str(tmp_path / "file.jsonl"))) == 16
        assert set(other.entries()["cell_version"]) == {newest} == set(empty.entries()["cell_version"])

    def test_retracted_runs_stay_behind(self, empty):
        synthetic.record(empty, "gru", protocol=SHORT)
        before = len(list(exchange.write(empty)))
        empty.retract(1, "for a test")
        assert len(list(exchange.write(empty))) == before - 1

    def test_more_results_are_more_lines_and_change_no_other(self, file, empty):
        empty.add(exchange.read(str(file)))
        synthetic.record(empty, "gru", protocol=SHORT, repetitions=range(2, 4))
        before = set(file.read_text(encoding="utf-8").splitlines()[1:])
        after = list(exchange.write(empty))[1:]
        assert before < set(after)
        assert len(after) == len(before) + 8


def changed(file, tmp_path, change, kind="run"):
    """The file with its first line of a kind changed."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    number = next(i for i, row in enumerate(rows) if kind in row)
    change(rows[number])
    path = tmp_path / "changed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path, number + 1


REFUSED = {
    "a count": (lambda row: row["scores"][0].__setitem__(3, 5), "its counts make a gap-AUC of"),
    "more than all": (lambda row: row["scores"][0].__setitem__(3, 9999), "9999 of 3072 right"),
    "fewer answers": (lambda row: row["scores"][0].__setitem__(2, 100), "100 answers where"),
    "chance": (lambda row: row["scores"][0].__setitem__(4, 0.25), "chance is 0.125"),
    "extrapolated": (lambda row: row["scores"][0].__setitem__(5, True), "extrapolated or not"),
    "a gap less": (lambda row: row["scores"].pop(), "not a score for each gap and split"),
    "the area": (lambda row: row.update(gap_auc=0.99), "not 0.99"),
    "the rate": (lambda row: row.update(lr=0.5), "its key is not the hash of what was asked"),
    "the cell": (lambda row: row.update(cell="wonder"), "its key is not the hash of what was asked"),
    "the outcome": (lambda row: row.update(outcome="crashed"), "a count where the run crashed"),
    "no outcome": (lambda row: row.update(outcome="lost"), "there is no outcome 'lost'"),
    "no provenance": (lambda row: row.update(provenance="0" * 12), "no line before it tells of provenance"),
    "a field less": (lambda row: row.pop("seconds"), "KeyError: 'seconds'"),
}


class TestRefusals:
    @pytest.mark.parametrize("what", REFUSED)
    def test_a_run_that_does_not_add_up(self, file, tmp_path, what):
        change, message = REFUSED[what]
        path, line = changed(file, tmp_path, change)
        with pytest.raises(UserError, match=f"line {line}: .*") as caught:
            exchange.read(str(path))
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("kind", "change", "message"),
        [
            ("card", lambda row: row["card"].update(source="class Other: ..."), "its source is of version"),
            ("protocol", lambda row: row["content"].update(updates=7), "its content is that of quick"),
            ("provenance", lambda row: row["content"].update(device="abacus"), "the hash of this provenance"),
            ("format", lambda row: row.update(format=99), "this harness reads format 1"),
        ],
    )
    def test_what_runs_refer_to(self, file, tmp_path, kind, change, message):
        path, line = changed(file, tmp_path, change, kind)
        with pytest.raises(UserError, match=f"line {line}: ") as caught:
            exchange.read(str(path))
        assert message in str(caught.value)

    def test_unknown_tasks_and_versions(self, file, tmp_path):
        for name, message in (
            ("gap-cpy@1", "did you mean gap-copy"),
            ("gap-copy@9", "version 9 is not here"),
        ):
            text = file.read_text(encoding="utf-8").replace("gap-copy@1", name)
            path = tmp_path / "other.jsonl"
            path.write_text(text, encoding="utf-8")
            with pytest.raises(UserError, match=message):
                exchange.read(str(path))

    @pytest.mark.parametrize("lines", [1, 20])
    def test_a_part_of_a_file(self, file, tmp_path, lines):
        path = tmp_path / "part.jsonl"
        path.write_text("".join(file.read_text(encoding="utf-8").splitlines(True)[:lines]), encoding="utf-8")
        with pytest.raises(UserError, match="is not whole"):
            exchange.read(str(path))

    def test_a_run_twice(self, file, tmp_path):
        path = tmp_path / "twice.jsonl"
        text = file.read_text(encoding="utf-8")
        path.write_text(text + text.splitlines(True)[-1], encoding="utf-8")
        with pytest.raises(UserError, match="this run stands twice"):
            exchange.read(str(path))

    def test_what_is_no_such_file(self, tmp_path):
        (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
        (tmp_path / "text").write_text("hello\n")
        for name, message in (
            ("picture.png", "cannot be read"),
            ("text", "line 1: not JSON"),
            ("no", "no file"),
        ):
            with pytest.raises(UserError, match=message):
                exchange.read(str(tmp_path / name))

    def test_reference_results(self):
        if exchange.REFERENCE.exists():
            assert exchange.read("reference")
        else:
            with pytest.raises(UserError, match="comes without reference results"):
                exchange.read("reference")
