"""`harness board` and `harness compare`."""

import io
import json
import shlex

import pandas as pd
import pytest
import synthetic
from rich.cells import cell_len

from harness import board
from harness.cli import cli
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import find_task, suite
from harness.store import Store

TASKS = [find_task(name) for name in suite()]
LONG = "my-very-long-experimental-cell-name[forget_bias=1.5,layers=3]"
CELLS = {"gru": 10, "lstm": 6, "rnn": 10, "clockwork": 2, LONG: 5}
SHORT = QUICK.vary(gaps=(2, 32))


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """Entries of every status on the whole suite, and one of a single task."""
    path = str(tmp_path_factory.mktemp("store") / "results.db")
    store = Store.open(path)
    for cell, repetitions in CELLS.items():
        for task in TASKS:
            given = {"chance": task.chance(64), "min_gap": task.min_gap, "repetitions": range(repetitions)}
            synthetic.record(store, cell, task.id, SHORT, **given, diverged=[(32, 0.01, 1)])
    synthetic.record(store, "half", TASKS[0].id, SHORT, repetitions=range(10))
    synthetic.record(store, "gru", TASKS[0].id, QUICK_MIXED)
    return path


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


class TestBoard:
    def test_json_is_the_board_row_by_row(self, harness, db):
        code, out, err = harness("board", "--db", db, "--json")
        assert (code, err) == (0, "")
        rows = objects(out)
        store = Store.open(db)
        assert rows == board.read(store, SHORT.id).entries()
        assert {r["cell"]: r["status"] for r in rows} == {
            "gru": "full", "rnn": "full", "lstm": "provisional", LONG: "provisional", "clockwork": "unranked",
            "half": "incomplete",
        }  # fmt: skip
        assert {(r["suite"], r["protocol"], r["division"]) for r in rows} == {("core@1", SHORT.id, "closed")}
        for row in rows:
            assert (row["rank"]["best"] is None) == (row["status"] in ("unranked", "incomplete"))
            assert row["failed"] == len(TASKS) - (row["cell"] == "half") * len(TASKS)

    def test_csv_has_the_same_numbers(self, harness, db):
        _, out, _ = harness("board", "--db", db, "--csv")
        frame = pd.read_csv(io.StringIO(out))
        rows = objects(harness("board", "--db", db, "--json")[1])
        assert frame["cell"].tolist() == [row["cell"] for row in rows]
        assert frame["command"].tolist() == [row["command"] for row in rows]
        known = frame["score"].notna()
        assert frame["score"][known].tolist() == pytest.approx(
            [row["score"]["value"] for row in rows if row["score"]["value"] is not None]
        )
        first = frame.set_index("cell").loc["gru"]
        assert first[f"gap_auc {TASKS[0].id}"] == pytest.approx(rows[0]["gap_auc"][TASKS[0].id])

    def test_a_check_that_a_cell_has_to_fail_is_named_with_its_reason(self, harness, tmp_path):
        excused = 'class A:\n    pass\n\n\nclass B:\n    expected_failures = {"gradient": "it is frozen"}\n'
        path = str(tmp_path / "results.db")
        for cell in ("two.A", "two.B[k=1]"):
            synthetic.record(Store.open(path), cell, TASKS[0].id, SHORT, source=excused)
        _, out, _ = harness("board", "--db", path)
        assert "two.B[k=1] is expected to fail the check gradient: it is frozen" in out
        assert "two.A is expected" not in out
        rows = objects(harness("board", "--db", path, "--json")[1])
        assert {row["cell"]: row["expected_failures"] for row in rows} == {
            "two.A": {}, "two.B[k=1]": {"gradient": "it is frozen"},
        }  # fmt: skip
        frame = pd.read_csv(io.StringIO(harness("board", "--db", path, "--csv")[1])).set_index("cell")
        assert frame["expected_failures"].fillna("").to_dict() == {
            "two.A": "", "two.B[k=1]": "gradient: it is frozen",
        }  # fmt: skip

    def test_what_was_not_measured_here_is_marked(self, harness, db, tmp_path):
        path = str(tmp_path / "results.db")
        store = Store.open(path)
        for cell, repetitions in {"rnn": range(2), "lstm": range(1)}.items():
            for task in TASKS:
                given = {"chance": task.chance(64), "min_gap": task.min_gap}
                synthetic.record(store, cell, task.id, SHORT, repetitions=repetitions, **given)
        store.add([r for r in Store.open(db).everything() if r.result.request.repetition < 2])
        rows = {row["cell"]: row for row in objects(harness("board", "--db", path, "--json")[1])}
        assert rows["rnn"]["reported"] == 0
        assert 0 < rows["lstm"]["reported"] < rows["lstm"]["runs"]
        assert rows["gru"]["reported"] == rows["gru"]["runs"]
        frame = pd.read_csv(io.StringIO(harness("board", "--db", path, "--csv")[1])).set_index("cell")
        assert frame["reported"].to_dict() == {cell: row["reported"] for cell, row in rows.items()}
        said = harness("board", "--db", path, "--protocol", SHORT.id)[1]
        shown = {line.split()[2]: line for line in said.splitlines() if "[0." in line}
        assert "rnn †" not in shown["rnn"]
        assert "lstm †" in shown["lstm"]
        assert "gru †" in shown["gru"]
        assert "†: reported" in said
        assert "†" not in harness("board", "--db", db)[1]

    @pytest.mark.parametrize("width", [80, 140])
    def test_fits_the_terminal_and_names_what_completes(self, harness, db, monkeypatch, width):
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = harness("board", "--db", db)
        lines = out.splitlines()
        commands = [line for line in lines if "harness run" in line]
        assert (
            max(cell_len(line) for line in lines if line not in commands and "repetitions and" not in line)
            <= width
        )
        assert lines[0] == f"core@1 · {SHORT.id} · closed division · {len(TASKS)} tasks"
        for cell in ("CELL", "clockwork", "half"):
            assert any(f"--cell {cell} --task all" in line for line in commands)
        assert f"Other boards, with --protocol: {QUICK_MIXED.id}" in out
        rank = {line.split()[2]: line.split()[0] for line in lines[2:] if "[0." in line}
        assert rank["lstm"].endswith("*")
        assert not rank["gru"].endswith("*")
        assert "*: provisional, with fewer than 10 repetitions" in lines

    def test_its_commands_are_commands(self, harness, db):
        for row in objects(harness("board", "--db", db, "--json")[1]):
            for text in filter(None, (row["command"], row["completes"])):
                program, name, *arguments = shlex.split(text)
                command = cli.get_command(None, name)
                asked = command.make_context(name, arguments).params
                assert program == "harness"
                assert asked["cells"] == (row["cell"],)
                assert (asked["protocol"], asked["gaps"]) == ("quick", (2, 32))

    def test_another_board_is_asked_for_by_its_protocol(self, harness, db):
        rows = objects(harness("board", "--db", db, "--protocol", "quick-mixed", "--json")[1])
        assert [(row["cell"], row["status"]) for row in rows] == [
            ("gru", "incomplete" if len(TASKS) > 1 else "unranked")
        ]

    def test_of_two_with_as_many_results_the_one_comes_first_that_has_ranks(self, harness, tmp_path):
        path = str(tmp_path / "results.db")
        for protocol, repetitions in ((QUICK, 2), (QUICK_MIXED, 5)):
            synthetic.record(Store.open(path), "gru", protocol=protocol, repetitions=range(repetitions))
        assert {row["protocol"] for row in objects(harness("board", "--db", path, "--json")[1])} == {
            QUICK_MIXED.id
        }
        synthetic.record(Store.open(path), "rnn", protocol=QUICK)
        assert {row["protocol"] for row in objects(harness("board", "--db", path, "--json")[1])} == {QUICK.id}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--protocol", "quik-mixed"],
                "unknown protocol in the store 'quik-mixed': did you mean quick-mixed@1",
            ),
            (["--json", "--csv"], "--json and --csv: give one of them"),
        ],
    )
    def test_a_wrong_request_is_one_line(self, harness, db, arguments, message):
        code, out, err = harness("board", "--db", db, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"harness: {message}")

    def test_results_off_the_suite_make_no_board(self, harness, tmp_path):
        path = str(tmp_path / "results.db")
        synthetic.record(Store.open(path), "gru", "my-task@1")
        code, _, err = harness("board", "--db", path)
        assert code == 2
        assert "`harness run --cell all --task all`" in err


class TestCompare:
    def test_json_is_the_comparison(self, harness, db):
        rows = objects(harness("compare", "gru", "rnn", "--db", db, "--json")[1])
        assert [row["task"] for row in rows] == [*(task.id for task in TASKS), None]
        made = board.read(Store.open(db), SHORT.id).compare("gru", "rnn")
        assert [row["difference"] for row in rows] == made["difference"].tolist()
        assert {row["better"] for row in rows} == {"first"}
        assert rows[0]["first_command"].startswith("harness run --cell gru ")
        assert rows[0]["second_command"].startswith("harness run --cell rnn ")

    def test_csv_and_table_say_the_same(self, harness, db):
        frame = pd.read_csv(io.StringIO(harness("compare", "gru", "rnn", "--db", db, "--csv")[1]))
        out = harness("compare", "gru", "rnn", "--db", db)[1]
        for difference in frame["difference"]:
            assert f"{difference:+.3f} [" in out
        assert "made by: harness run --cell rnn" in out

    def test_few_repetitions_are_no_verdict(self, harness, db):
        rows = objects(harness("compare", "gru", "clockwork", "--db", db, "--json")[1])
        assert {(row["repetitions"], row["better"]) for row in rows} == {(2, None)}
        assert "range; from 5 repetitions on" in harness("compare", "gru", "clockwork", "--db", db)[1]

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            (["gur", "rnn"], "unknown cell in the store 'gur': did you mean gru?"),
            (["gru", "gru"], "gru is one cell"),
            (["gru", "rnn", "--protocol", "quick-mixed"], "unknown protocol in the store 'quick-mixed'"),
        ],
    )
    def test_a_wrong_request_is_one_line(self, harness, db, cells, message):
        code, out, err = harness("compare", *cells, "--db", db)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"harness: {message}")
