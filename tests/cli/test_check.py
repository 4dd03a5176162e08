"""`harness check`: a table per task or cell, JSON, and what the exit code says."""

import json
import sys

import broken_cells
import plugin_cells
import pytest
from broken_tasks import BROKEN

from harness import checks
from harness.checks import CHEAP, QUICK_CHECKS, cells, tasks
from harness.cli import check, main
from harness.registry import cell_files, task_classes


@pytest.fixture
def harness(monkeypatch, capsys):
    """`harness(*arguments)`: exit code, standard output and standard error; nothing is trained."""
    monkeypatch.setattr(cells, "CELL_CHECKS", QUICK_CHECKS)

    def run(*arguments):
        monkeypatch.setattr(tasks, "TASK_CHECKS", CHEAP)
        monkeypatch.setattr(sys, "argv", ["harness", "check", *arguments])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code, *capsys.readouterr()

    return run


def test_a_table_per_task_with_what_was_measured(harness):
    code, out, err = harness("--task", "gap-latch", "--task", "gap-copy[payload=2]")
    assert code == 0
    first, second = out.strip().split("\n\n")
    assert first.splitlines()[0].strip() == "gap-latch@1"
    assert second.splitlines()[0].strip() == "gap-copy@1[payload=2]"
    for line, one in zip(first.splitlines()[1:], [c for c in CHEAP if c.name != "mentions"], strict=True):
        assert line.split()[0] == one.name
        assert line.split()[1] in ("passed", "reported")
    assert "as asked at 0 1 5 17 64 300 1000" in first
    assert err.splitlines() == ["1/2 gap-latch@1", "2/2 gap-copy@1[payload=2]"]


def test_json_has_a_line_per_check(harness):
    code, out, _ = harness("--task", "gap-order", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["task"] for row in rows} == {"gap-order@1"}
    by_check = {row["check"]: row for row in rows}
    assert by_check["dependency"]["figures"]["gaps"] == [0, 1, 5, 17, 64, 300, 1000]
    assert set(rows[0]) == {
        "task", "check", "verdict", "measured", "figures", "case", "reason", "seconds"
    }  # fmt: skip


def test_what_fails_is_shown_with_its_case_and_its_reason_and_the_exit_code_is_1(harness, monkeypatch):
    monkeypatch.setattr(check, "find_task", lambda name: BROKEN["OffByOne"][0])
    code, out, _ = harness("--task", "gap-parity")
    assert code == 1
    assert "failed" in out
    assert "the last cue is 1 away, of: +" in out
    assert next(one.reason for one in CHEAP if one.name == "dependency") in out


def test_all_is_every_registered_task(harness, monkeypatch):
    monkeypatch.setattr(checks, "check_task", lambda task, report: [CHEAP[0](task)])
    code, out, _ = harness("--task", "all", "--json")
    assert code == 0
    assert [json.loads(line)["task"] for line in out.splitlines()] == [
        task().id for task in task_classes().values()
    ]


def test_a_cell_and_a_task_in_one_command(harness):
    code, out, err = harness("--cell", "gru[reset=before]", "--task", "gap-latch", "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row.get("task", row.get("cell")) for row in rows} == {"gap-latch@1", "gru[reset=before]"}
    assert [row["check"] for row in rows if "cell" in row] == [check.name for check in QUICK_CHECKS]
    assert err.splitlines() == ["1/2 gap-latch@1", "2/2 gru[reset=before]"]


def test_all_cells_are_every_registered_one(harness, monkeypatch):
    monkeypatch.setattr(
        checks,
        "check_apart",
        lambda spec, report, slow: [CHEAP[0](spec.cls(32, 64) and BROKEN["OffByOne"][0])],
    )
    code, _, err = harness("--cell", "all", "--json")
    assert code == 0
    names = [line.partition(" ")[2] for line in err.splitlines()]
    assert names == list(cell_files())


def test_files_that_are_broken_are_told_of_and_the_others_are_checked(harness, tmp_path):
    files = {
        "syntax.py": "def broken(:\n",
        "empty.py": "import torch\n",
        "two.py": "from harness import Cell\n\n\nclass A(Cell): ...\n\n\nclass B(Cell): ...\n",
        "narrow.py": (
            "from harness import Cell\n\n\nclass Narrow(Cell):\n"
            "    def __init__(self, size):\n        super().__init__(size, size)\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in files] + [plugin_cells.write(tmp_path, "raising"), "rnn"]
    code, out, err = harness(*(word for path in paths for word in ("--cell", path)), "--json")
    assert code == 2
    assert err.splitlines()[:3] == [
        f"harness: {tmp_path}/syntax.py:1: SyntaxError: invalid syntax (syntax.py, line 1)",
        f"harness: {tmp_path}/empty.py: a file holds one subclass of harness.Cell, here are: none",
        f"harness: {tmp_path}/two.py: a file holds one subclass of harness.Cell, here are: A, B; "
        "name one, as in two.py:A",
    ]
    rows = [json.loads(line) for line in out.splitlines()]
    first = {row["cell"]: row for row in reversed(rows)}
    where = f"cell narrow: {tmp_path}/narrow.py:4: TypeError: Narrow.__init__() takes 2 positional arguments"
    assert first["narrow"]["case"].startswith(where)
    assert first["raising"]["case"].endswith("RuntimeError: the step is out of order")
    assert {name: sum(row["cell"] == name for row in rows) for name in first} == {
        "narrow": 1, "raising": 1, "rnn": len(QUICK_CHECKS)
    }  # fmt: skip


def test_a_cell_that_ends_its_process_fails_and_the_next_one_is_checked(harness, monkeypatch):
    monkeypatch.setattr(cells, "CELL_CHECKS", QUICK_CHECKS[:4])
    path = f"{broken_cells.__file__}:Exits"
    code, out, _ = harness("--cell", path, "--cell", "rnn", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [(row["cell"], row["verdict"]) for row in rows[3:]] == [
        ("broken-cells.Exits", "failed"), *[("rnn", "passed")] * 4,
    ]  # fmt: skip
    assert rows[3]["measured"] == "its process exited with code 3"


def test_of_a_cell_that_fails_the_exit_code_is_1(harness, tmp_path):
    code, out, _ = harness("--cell", plugin_cells.write(tmp_path, "unused_parameter"))
    assert code == 1
    assert "3 of 3 entries of idle have none in 300 steps" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "harness: nothing to check: give --cell NAME or --task NAME, or all of either\n"),
        (["--cell", "resevoir"], "harness: unknown cell 'resevoir': did you mean reservoir?\n"),
        (["--task", "gap-ltch"], "harness: unknown task 'gap-ltch': did you mean gap-latch?\n"),
        (["--task", "gap-copy[pay=1]"], "harness: unknown option of gap-copy 'pay': did you mean payload?\n"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(harness, arguments, message):
    code, out, err = harness(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
