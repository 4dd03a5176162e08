"""`harness new`: what it writes works, and the steps it prints lead to a curve."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.cli.new import command
from harness.errors import UserError
from harness.registry import ROOT, cell_files, find_cell, find_task

SMALL = [
    "--gaps",
    "2",
    "--updates",
    "30",
    "--repetitions",
    "1",
    "--lr",
    "0.01",
    "--json",
    "--engine",
    "eager",
]


def new(*arguments):
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def follow(step, cwd):
    program, *arguments = shlex.split(step)
    words = (
        [sys.executable, *arguments] if program == "python" else [sys.executable, "-m", "harness", *arguments]
    )
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cell", "task"])
def test_the_printed_steps_lead_to_a_curve(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = {"cell": "my-cell", "task": "gap-mine"}[kind]
    steps = re.findall(r"^    (.*?) +#", new(kind, name), re.MULTILINE)
    assert len(steps) == {"cell": 3, "task": 4}[kind]
    assert " passed" in follow(f"{steps[0]} -q -p no:cacheprovider", tmp_path)
    (run,) = (step for step in steps if step.startswith("harness run"))
    rows = [
        json.loads(line) for line in follow(shlex.join([*shlex.split(run), *SMALL]), tmp_path).splitlines()
    ]
    wanted = {"cell": ("my-cell", "gap-copy@1"), "task": ("gru", "gap-mine@1")}[kind]
    (row,) = (row for row in rows if (row["cell"], row["task"]) == wanted)
    assert (row["failed"], [point["gap"] for point in row["curve"]]) == (0, [2])
    if kind == "task":
        assert "gap-mine@1, gap 8" in follow(steps[1], tmp_path)


def test_what_is_written_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new("cell", "two_words")
    assert find_cell("two-words[rate=0.5]").cls.__name__ == "TwoWords"
    assert cell_files()["two-words"].summary() == ("Two words: what `harness cells` says of it.", "rate=0.1")
    new("task", "gap-mine")
    assert find_task("gap-mine[symbols=7]").chance(3) == 1 / 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cell", "gru"], "there is a cell gru already: give another name"),
        (["task", "gap-copy"], "there is a task gap-copy already: give another name"),
        (
            ["cell", "My Cell"],
            "'My Cell' is no name of a cell: small letters, digits and dashes, as in my-cell",
        ),
        (["task", "../x"], "'../x' is no name of a task: small letters, digits and dashes, as in my-task"),
    ],
)
def test_a_name_that_cannot_be_is_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        new(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_mine.py").write_text("mine")
    with pytest.raises(UserError, match=r"^tests/test_mine\.py is there already"):
        new("cell", "mine")
    assert not (tmp_path / "submissions").exists()
