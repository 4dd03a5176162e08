"""`harness status`, as its users see it."""

import json
import os
import re
import socket

import pytest
import synthetic
from here import Here

import harness as package
from harness.executors import Failed
from harness.protocol import QUICK
from harness.store import Store

FILE = """
cell = ["gru", "rnn"]
task = "gap-copy"
updates = 20
gaps = [2, 4]
lr = [0.01]
hidden-size = 8
repetitions = 2
"""
NOBODY = "nobody is at it: the same `harness sweep` or `harness run` goes on"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Here:
    """Trainings are made up, in a folder that holds a sweep's file."""
    pool = Here()
    monkeypatch.setattr("harness.runner.find_executor", pool)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "sweep.toml").write_text(FILE)
    return pool


@pytest.fixture
def during(here, harness):
    """`during(*arguments)`: what the command says while the second of four populations trains."""

    def run(*arguments):
        told = []

        def look(event):
            if event.kind == "progress" and event.number == 1:
                told.append(harness("status", *arguments))

        package.sweep("sweep.toml", report=look)
        return told[0]

    return run


@pytest.mark.parametrize("file", [[], ["sweep.toml"]])
def test_while_it_trains_it_is_said_how_far_it_is(during, file):
    code, out, err = during(*file, "--json")
    assert (code, err) == (0, "")
    plan, running = map(json.loads, out.splitlines())
    owner = f"{socket.gethostname()}:{os.getpid()}"
    assert {key: plan[key] for key in ("kind", "name", "runs", "done", "failed", "running", "left")} == {
        "kind": "plan", "name": "sweep.toml", "runs": 8, "done": 2, "failed": 0, "running": 2, "left": 4,
    }  # fmt: skip
    assert (plan["owner"], plan["alive"]) == (owner, True)
    assert plan["seconds_left"] > 0
    assert {key: running[key] for key in ("kind", "cell", "gap", "members", "owner")} == {
        "kind": "running", "cell": "rnn", "gap": 4, "members": 2, "owner": owner,
    }  # fmt: skip


def test_as_a_table(during):
    code, out, _ = during()
    assert code == 0
    head, words, *_ = out.splitlines()
    assert head == "sweep.toml"
    assert re.fullmatch(
        r"2 of 8 runs are done, 2 train now, 4 are left; about \d+ s more, until \d\d:\d\d \S+", words
    )
    assert "Training now: 1" in out
    assert f"{socket.gethostname()}:{os.getpid()}" in out


def test_a_file_that_was_never_begun_has_everything_left(harness, here):
    Store.open("results.db")
    assert harness("status", "sweep.toml")[1].splitlines()[:2] == [
        "sweep.toml",
        f"0 of 8 runs are done, 8 are left; {NOBODY}",
    ]
    package.run("gru", "gap-copy", updates=20, gaps=[2], lr=[0.01], hidden_size=8)  # another protocol
    package.run("gru", "gap-copy", updates=20, gaps=[2, 4], lr=[0.01], hidden_size=8, repetitions=1)
    (plan,) = map(json.loads, harness("status", "sweep.toml", "--json")[1].splitlines())
    assert (plan["done"], plan["left"], plan["alive"]) == (2, 6, False)


def test_what_failed_is_named_with_its_reason_until_it_is_done(harness, here):
    here.fate = {0: Failed("killed", "signal 9\nits last words", 3, 1.0, {})}
    package.sweep("sweep.toml")
    synthetic.record(Store.open("results.db"), "gru", protocol=QUICK, only=[64], diverged=[(64, 0.01, 1)])
    code, out, _ = harness("status")
    assert code == 0
    assert "6 of 8 runs are done, 2 are left; nobody is at it" in out
    assert "Training now: nothing" in out
    assert "Failed: 2" in out
    assert "diverged at update 312" in out
    assert "quick@1[gaps=2/4,hidden_size=8,lr=0.01,updates=20]" in out  # brackets are no markup
    assert [line.split()[-2:] for line in out.splitlines() if "killed" in line] == [["signal", "9"]]
    assert "last words" not in out
    run, attempt = map(json.loads, harness("status", "--json")[1].splitlines()[1:])
    assert (run["outcome"], run["update"]) == ("diverged", 312)
    assert (attempt["outcome"], attempt["reason"]) == ("killed", "signal 9\nits last words")
    (of_file,) = map(json.loads, harness("status", "sweep.toml", "--json")[1].splitlines()[1:])
    assert of_file == attempt
    here.fate = {}
    package.sweep("sweep.toml")
    assert harness("status", "sweep.toml")[1].splitlines() == [
        "sweep.toml", "8 of 8 runs are done", "", "Training now: nothing",
    ]  # fmt: skip


def test_mistakes_are_one_line(harness, here):
    code, out, err = harness("status")
    assert (code, out) == (2, "")
    assert "there is no store at results.db yet" in err
    assert harness("status", "swep.toml") == (2, "", "harness: there is no file swep.toml\n")
