"""The command line's frame: what it lists, what it imports, how it fails."""

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from harness.cli import COMMANDS
from harness.registry import ROOT, cell_files, find_task, suite, task_classes

HEAVY = ("torch", "streamlit", "pandas", "altair", "sqlalchemy")


def harness(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def lines(*arguments: str, **where: Path) -> list[dict]:
    done = harness(*arguments, "--json", **where)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["cells"], ["cells", "--json"], ["tasks"], ["tasks", "--json"]]
)
def test_help_and_lists_import_nothing_heavy(arguments):
    script = (
        "import sys\n"
        "from harness.cli import main\n"
        f"sys.argv = ['harness', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr.strip() == "[]"


def test_importing_the_package_imports_nothing_heavy():
    script = f"import sys, harness; print([name for name in {(*HEAVY, 'numpy')!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [[], ["db"]])
def test_no_command_at_all_is_answered_by_the_help(arguments):
    done = harness(*arguments)
    assert done.returncode == 2
    assert done.stderr == harness(*arguments, "--help").stdout


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(flag):
    done = harness(flag)
    assert (done.returncode, done.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = harness(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"harness {command}" in done.stdout


def test_cells_are_listed_with_their_options():
    listed = {row["cell"]: row for row in lines("cells")}
    assert set(listed) == set(cell_files())
    assert listed["gru"]["options"] == "reset=after"
    assert listed["depth-gated"]["options"] == "layers=2"
    assert [name for name, row in listed.items() if row["reference"]] == [
        "last-k",
        "reservoir",
        "transformer",
    ]
    assert listed["lstm"]["version"] == cell_files()["lstm"].version
    assert Path(listed["rnn"]["file"]) == ROOT / "submissions" / "rnn.py"
    table = harness("cells").stdout
    for row in listed.values():
        assert row["cell"] in table
        assert row["summary"] in table
    assert "reset=after, layers=1" in table


def test_a_cell_in_submissions_here_is_listed_though_it_is_broken(tmp_path):
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "my_cell.py").write_text("def f(:\n")
    listed = {row["cell"]: row["summary"] for row in lines("cells", cwd=tmp_path)}
    assert listed["my-cell"] == "broken: line 1: invalid syntax"
    assert set(listed) == {*cell_files(), "my-cell"}


def test_tasks_are_listed_with_what_they_ask():
    rows = lines("tasks")
    listed = {row["task"]: row for row in rows}
    assert set(listed) == set(task_classes())
    copy = listed["gap-copy"]
    assert (copy["chance"], copy["min_gap"], copy["id"], copy["in_suite"]) == (0.125, 0, "gap-copy@1", True)
    assert (copy["vocabulary"], copy["classes"], listed["gap-add"]["vocabulary"]) == (17, 8, None)
    assert copy["options"] == {
        "filler": {"default": "noise", "choices": ["noise", "blank"]},
        "payload": {"default": 3, "choices": None},
    }
    assert {find_task(id).name for id in suite()} == {name for name, row in listed.items() if row["in_suite"]}
    families = [family for family, _ in groupby(row["family"] for row in rows)]
    assert len(set(families)) == len(families)
    assert (copy["family"], copy["about"]) == ("copying", listed["gap-echo"]["about"])

    table = " ".join(harness("tasks").stdout.split())
    assert " gap-copy* hold several symbols in order chance 0.125, gaps from 0; " in table
    assert " options filler=noise|blank, payload=3 Hochreiter" in table
    for row in rows:
        for text in (row["about"], row["ability"], row["source"]):
            assert " ".join(text.split()) in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tsks"], "harness: unknown command 'tsks': did you mean tasks?"),
        (["frobnicate"], "harness: unknown command 'frobnicate': "),
        (["cells", "--jsn"], "harness: No such option"),
        (["tasks", "gap-copy"], "harness: Got unexpected extra argument (gap-copy)"),
        (["--versio"], "harness: No such option"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message):
    done = harness(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["tasks", "cells", "show gap-latch"])
def test_a_terminal_without_our_letters_shows_others(command):
    done = harness(*command.split(), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout


def test_two_cells_of_one_name_are_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "gru.py").write_text("x = 1\n")
    done = harness("cells", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("harness: two cells are named gru: ")
    assert len(done.stderr.splitlines()) == 1
