"""`harness sweep`, as its users see it."""

import json
import signal

import pytest
from here import Here

from harness.executors import Failed
from harness.store import Store

FILE = """
cell = ["gru", "rnn"]
task = "gap-copy"
updates = 20
gaps = [2, 4]
lr = [0.01]
hidden-size = 8

[[run]]
repetitions = 2

[[run]]
train = "mixed"
repetitions = 1
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Here:
    """Trainings are made up, in a folder that holds a sweep's file."""
    pool = Here()
    monkeypatch.setattr("harness.runner.find_executor", pool)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    (tmp_path / "sweep.toml").write_text(FILE)
    return pool


def test_json_is_a_line_for_each_curve_as_of_run(harness, here):
    code, out, err = harness("sweep", "sweep.toml", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(row["cell"], row["protocol"].partition("@")[0], row["runs"]) for row in rows] == [
        ("gru", "quick-mixed", 1), ("gru", "quick", 4), ("rnn", "quick-mixed", 1), ("rnn", "quick", 4),
    ]  # fmt: skip
    (of_run,) = map(json.loads, harness(
        "run", "--cell", "gru", "--task", "gap-copy", "--updates", "20", "--gaps", "2,4", "--lr", "0.01",
        "--hidden-size", "8", "--json",
    )[1].splitlines())  # fmt: skip
    assert of_run == {**rows[1], "reused": 4}
    assert len(err.splitlines()) == 6


def test_the_tables_are_those_of_run_for_each_protocol(harness, here):
    code, out, _ = harness("sweep", "sweep.toml")
    assert code == 0
    assert out.count("gap-copy@1 · quick") == 2
    assert "gap-copy@1 · quick-mixed@1[" in out


def test_interrupted_it_goes_on_where_it_was(harness, here):
    here.fate = {2: KeyboardInterrupt()}
    code, out, err = harness("sweep", "sweep.toml")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "Interrupted. What is finished is kept; the same command continues."
    finished = len(Store.open("results.db").runs())
    assert finished == sum(len(job.members) for job in here.jobs) > 0
    here.fate = {}
    _, out, _ = harness("sweep", "sweep.toml", "--json")
    assert sum(json.loads(line)["reused"] for line in out.splitlines()) == finished
    assert sum(len(job.members) for job in here.jobs) == len(Store.open("results.db").runs()) == 10


def test_what_is_unfinished_is_named_and_retried(harness, here):
    here.fate = {0: Failed("killed", "so it goes", 3, 1.0, {})}
    for _ in range(3):
        code, _, err = harness("sweep", "sweep.toml")
        assert code == 1
    assert "unfinished: " in err
    here.fate = {}
    assert harness("sweep", "sweep.toml")[0] == 1
    assert harness("sweep", "sweep.toml", "--retry")[0] == 0


def test_mistakes_are_one_line_and_exit_code_2(harness, here):
    assert harness("sweep", "sweep.tml") == (2, "", "harness: there is no file sweep.tml\n")
    with open("sweep.toml", "a") as file:
        file.write('cell = ["gruu"]\n')
    code, out, err = harness("sweep", "sweep.toml")
    assert (code, out) == (2, "")
    assert err == "harness: sweep.toml, run 2: unknown cell 'gruu': did you mean gru?\n"
    assert here.jobs == []
