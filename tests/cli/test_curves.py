import io
import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
import synthetic
from rich.cells import cell_len

from harness import stats
from harness.cli import _terminal
from harness.protocol import QUICK, QUICK_MIXED
from harness.store import Store


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.db"
    store = Store.open(str(path))
    synthetic.fill(store)
    failed = [(64, 0.01, 1), (32, 0.003, 0)]
    synthetic.record(store, "gru", protocol=QUICK.vary(updates=500), repetitions=range(6), diverged=failed)
    return str(path)


def points(accuracies, cell="gru", **columns):
    """Curve points of one entry, from {gap: accuracy}."""
    entry = {"cell": cell, "task": "t@1", "protocol": "p@1", "division": "closed", "hidden_size": 40}
    given = {"chance": 0.125, "repetitions": 2, "extrapolated": False} | columns
    return pd.DataFrame([entry | given | {"gap": gap, "accuracy": a} for gap, a in accuracies.items()])


class TestCommand:
    def test_has_a_section_per_task_and_protocol_and_no_colour_when_piped(self, harness, db):
        code, out, err = harness("curves", "--db", db)
        assert (code, err) == (0, "")
        heads = [line for line in out.splitlines() if "division" in line]
        assert heads == [
            "gap-copy@1 · quick-mixed@1 · closed division",
            "gap-copy@1 · quick@1 · closed division",
            "gap-copy@1 · quick@1[updates=500] · closed division",
            "nl-birthplace@2 · quick-mixed@1 · closed division",
            "nl-birthplace@2 · quick@1 · closed division",
        ]
        assert "\x1b" not in out

    @pytest.mark.parametrize("width", [80, 120])
    def test_fits_the_terminal(self, harness, db, monkeypatch, width):
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = harness("curves", "--db", db)
        lines = out.splitlines()
        commands = [line for line in lines if line.startswith("made by: harness run --cell CELL --task ")]
        assert len(commands) == 5
        assert max(cell_len(line) for line in lines if line not in commands) <= width

    def test_filters_repeat_and_a_name_means_no_other_options(self, harness, db):
        _, out, _ = harness(
            "curves", "--db", db, "--cell", "gru", "--cell", "lstm", "--task", "gap-copy", "--json"
        )
        found = {(e["cell"], e["task"], e["protocol"]) for e in map(json.loads, out.splitlines())}
        assert found == {
            (c, "gap-copy@1", p) for c in ("gru", "lstm") for p in ("quick@1", "quick-mixed@1")
        } | {("gru", "gap-copy@1", "quick@1[updates=500]")}
        _, out, _ = harness("curves", "--db", db, "--cell", "lstm[layers=2]", "--protocol", "quick", "--json")
        assert {(e["cell"], e["protocol"]) for e in map(json.loads, out.splitlines())} == {
            ("lstm[layers=2]", "quick@1")
        }

    def test_json_is_what_the_statistics_say(self, harness, db):
        _, out, _ = harness("curves", "--db", db, "--json")
        store = Store.open(db)
        said = sorted(map(json.loads, out.splitlines()), key=lambda e: json.dumps(e))
        assert said == sorted(stats.entries(store.scores(), store.runs()), key=lambda e: json.dumps(e))

    def test_csv_is_the_curves(self, harness, db):
        _, out, _ = harness("curves", "--db", db, "--cell", "gru", "--protocol", "quick", "--csv")
        scores = Store.open(db).scores(protocol="quick@1", cells=["gru"])
        found = pd.read_csv(io.StringIO(out))
        assert set(found.pop("command")) == {
            f"harness run --cell gru --task {task} --protocol quick --repetitions 2"
            for task in ("gap-copy@1", "nl-birthplace@2")
        }
        pd.testing.assert_frame_equal(found, stats.curves(scores), check_dtype=False)

    def test_shows_what_failed(self, harness, db):
        _, out, _ = harness("curves", "--db", db, "--protocol", "quick@1[updates=500]")
        assert "gru: gap 64, lr 0.01, repetition 1 diverged at update 312" in out
        assert "95 % interval of 6" in out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--cell", "gur"], "unknown cell in the store 'gur': did you mean gru?"),
            (["--task", "gap-cpy"], "unknown task in the store 'gap-cpy': did you mean gap-copy@1?"),
            (["--protocol", "quik"], "unknown protocol in the store 'quik': did you mean quick@1?"),
            (["--json", "--csv"], "--json and --csv: give one of them"),
            (["--cell", "rnn", "--protocol", "quick@1[updates=500]"], "the store has no results of these"),
        ],
    )
    def test_a_wrong_request_is_one_line(self, harness, db, arguments, message):
        code, out, err = harness("curves", "--db", db, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith(f"harness: {message}")
        assert err.count("\n") == 1

    def test_an_empty_store_names_the_command_that_fills_it(self, harness, tmp_path):
        path = str(tmp_path / "results.db")
        for _ in range(2):  # no store, then one without results
            code, out, err = harness("curves", "--db", path)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert "`harness run --cell gru --task gap-copy`" in err
            Store.open(path)


class TestPlot:
    def rows(self, frame, width=60, **options):
        """The canvas: the lines right of the axis."""
        lines = str(_terminal.plot(frame, width, **options)).splitlines()
        return [line.partition("│")[2] for line in lines if "│" in line]

    def test_letters_stand_at_their_gap_and_accuracy(self):
        accuracies = {2: 1.0, 4: 0.75, 8: 0.5, 16: 0.0}
        rows = self.rows(points(accuracies))
        ticks = str(_terminal.plot(points(accuracies), 60)).splitlines()[-3][5:]
        column = {int(tick.group()): tick.start() for tick in re.finditer(r"\d+", ticks)}
        for gap, accuracy in accuracies.items():
            assert rows[round(16 * (1 - accuracy))][column[gap]] == "A"
        assert sum(row.count("A") for row in rows) == 4

    def test_gaps_are_spaced_by_octaves(self):
        rows = self.rows(points(dict.fromkeys((1, 2, 8, 16), 1.0)), width=80)
        at = np.array([i for i, letter in enumerate(rows[0]) if letter == "A"])
        step = np.diff(at)
        assert step[0] == pytest.approx(step[2], abs=1)
        assert step[1] == pytest.approx(2 * step[0], abs=2)

    def test_the_line_goes_from_point_to_point(self):
        rows = self.rows(points({2: 1.0, 4: 0.0}), ascii_only=True)
        assert all(set(row) & {".", "A"} for row in rows)

    def test_chance_is_dashed(self):
        rows = self.rows(points({2: 1.0, 4: 1.0}, chance=0.5))
        assert rows[8].count("-") > 20
        assert not any("-" in row for row in rows[:8] + rows[9:])

    def test_cells_at_the_same_place_stand_side_by_side(self):
        same = {2: 1.0, 4: 0.5}
        rows = self.rows(pd.concat([points(same, cell=cell) for cell in ("c", "a", "b")]))
        assert "ABC" in rows[0]
        assert "ABC" in rows[8]

    def test_extrapolation_is_marked_and_a_border_between(self):
        frame = points({32: 1.0, 64: 1.0, 128: 0.2})
        frame["extrapolated"] = [False, False, True]
        text = str(_terminal.plot(frame, 60))
        assert "beyond the trained gaps" in text
        assert text.count("┊") >= _terminal.HEIGHT - 1

    @pytest.mark.parametrize(
        "accuracies", [{16: 0.9}, {0: 1.0, 1: 0.9, 2: 0.8}, dict.fromkeys(range(2, 60), 0.5)]
    )
    def test_any_gaps(self, accuracies):
        rows = self.rows(points(accuracies))
        assert len(rows) == _terminal.HEIGHT
        assert max(map(len, rows)) <= 55

    def test_more_cells_than_letters(self):
        self.rows(pd.concat([points({2: 1.0, 4: 0.5}, cell=f"cell-{i}") for i in range(60)]), width=100)


class TestShow:
    def print_to(self, monkeypatch, db, encoding):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        store = Store.open(db)
        scores, runs = store.scores(task="gap-copy@1"), store.runs(task="gap-copy@1")
        _terminal.show(stats.curves(scores), stats.summary(scores, runs), runs)
        sys.stdout.flush()
        return raw.getvalue()

    def test_needs_no_unicode(self, monkeypatch, db):
        text = self.print_to(monkeypatch, db, "ascii").decode("ascii")
        assert "?" not in text
        assert "gap-copy@1 - quick@1 - closed division" in text

    def test_names_and_numbers_are_there(self, monkeypatch, db):
        text = self.print_to(monkeypatch, db, "utf-8").decode()
        curve = stats.curves(Store.open(db).scores(task="gap-copy@1", protocol="quick@1", cells=["gru"]))
        assert "  ".join(f"{a:.2f}" for a in curve["accuracy"]) in text
        assert text.count("7,920") == 15

    def test_a_gap_not_measured_yet_is_a_dash(self, monkeypatch, tmp_path, capsys):
        store = Store.open(str(tmp_path / "results.db"))
        synthetic.record(store, "gru")
        synthetic.record(store, "rnn", protocol=QUICK, only=(2, 4))
        scores, runs = store.scores(), store.runs()
        _terminal.show(stats.curves(scores), stats.summary(scores, runs), runs)
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "rnn" in line and "–" in line]
        assert line.count("–") == 4

    def test_mixed_and_fixed_are_never_in_one_section(self, monkeypatch, db):
        text = self.print_to(monkeypatch, db, "utf-8").decode()
        mixed, fixed = text.split("· quick-mixed@1 ·")[1].split("· quick@1 ·")
        assert f"{QUICK_MIXED.gaps[-1]}*" in mixed
        assert "*" not in fixed
