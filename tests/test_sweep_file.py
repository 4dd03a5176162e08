"""A sweep's file, read and run."""

import pytest
from here import Here

import harness
from harness.errors import UserError
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import ROOT, find_cell, find_task, suite
from harness.sweep_file import read

BOTH = 'cell = "gru"\ntask = "gap-copy"\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(text)`: into `sweep.toml` of the folder that the test is in; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)

    def file(text: str) -> str:
        (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
        return "sweep.toml"

    return file


def test_what_stands_first_holds_for_every_run_unless_it_says_otherwise(write):
    sweep = read(
        write("""
            cell = ["gru", "lstm[layers=2]"]
            task = "all"
            repetitions = 5
            lr = [0.01, 0.003]
            memory = "2G"
            device = "cpu"
            [[run]]
            protocol = "quick-mixed"
            [[run]]
            cell = "rnn"
            task = ["gap-copy[payload=2]", "gap-echo"]
            repetitions = 2
            gaps = [8, 2, 2]
            updates = 7
            hidden-size = 12
            lr = [1]
        """)
    )
    first, second = sweep.requests
    assert first.cells == ("gru", "lstm[layers=2]")
    assert first.tasks == tuple(map(find_task, suite()))
    assert first.protocol == QUICK_MIXED.vary(repetitions=5)
    assert second.cells == ("rnn",)
    assert [task.id for task in second.tasks] == ["gap-copy@1[payload=2]", "gap-echo@1"]
    assert second.protocol == QUICK.vary(repetitions=2, gaps=(2, 8), updates=7, hidden_size=12, lr=(1,))
    assert sweep.where == {"memory": 2 << 30, "device": "cpu"}


def test_a_file_without_runs_is_one(write):
    (request,) = read(write(BOTH + 'train = "mixed"')).requests
    assert request.protocol == QUICK_MIXED


BAD = {
    "unknown key": ("cel = 1", "sweep.toml: unknown key 'cel': did you mean cell?"),
    "unknown key of a run": (
        "[[run]]\n[[run]]\nhidden_size = 4",
        "sweep.toml, run 2: unknown key 'hidden_size': did you mean hidden-size?",
    ),
    "place in a run": ('[[run]]\ndb = "x"', "sweep.toml, run 1: unknown key 'db': known are cell, gaps, "),
    "cell": ("cell = 3", "sweep.toml: cell = 3: must be a list, in brackets"),
    "cells": ("cell = [3]", "sweep.toml: cell = 3: must be text, in quotes"),
    "no cell": ('task = "all"', 'sweep.toml: cell is missing: write cell = "all", or a list of names'),
    "no task": ('cell = "all"\n[[run]]', "sweep.toml, run 1: task is missing: write task"),
    "gaps": ("gaps = 2", "sweep.toml: gaps = 2: must be a list, in brackets"),
    "gap": ('gaps = [2, "4"]', "sweep.toml: gaps = '4': must be a whole number"),
    "updates": ("updates = 2.5", "sweep.toml: updates = 2.5: must be a whole number"),
    "repetitions": ("repetitions = true", "sweep.toml: repetitions = True: must be a whole number"),
    "lr": ('lr = ["fast"]', "sweep.toml: lr = 'fast': must be a number"),
    "train": ('train = "mixt"', "sweep.toml: unknown train 'mixt': did you mean mixed?"),
    "engine": ('engine = "egaer"', "sweep.toml: unknown engine 'egaer': did you mean eager?"),
    "memory": ('memory = "4X"', "sweep.toml: memory = '4X': write a size as 500M or 4G"),
    "runs": (BOTH + "[run]\nupdates = 3", "sweep.toml: runs are tables: write [[run]] before each"),
    "run": (BOTH + "run = [1]", "sweep.toml: runs are tables: write [[run]] before each"),
    "syntax": ("cell = [", "sweep.toml is no TOML: "),
    "unknown task": ('cell = "gru"\n[[run]]\ntask = "gap-cpy"', "run 1: unknown task 'gap-cpy': did you"),
    "task's option": ('cell = "gru"\ntask = "gap-copy[paylod=2]"', "did you mean payload?"),
    "protocol": (BOTH + 'protocol = "quikc"', "sweep.toml: unknown protocol 'quikc': did you mean quick"),
    "small gap": ('cell = "gru"\ntask = "nl-birthplace"\ngaps = [2]', "nl-birthplace cannot have a gap of 2"),
    "no updates": (BOTH + "updates = 0", "sweep.toml: updates=0: must be at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_one_line_with_file_and_key(write, what):
    text, message = BAD[what]
    with pytest.raises(UserError) as caught:
        read(write(text))
    (line,) = str(caught.value).splitlines()
    assert message in line
    assert line.startswith("sweep.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no file nowhere\.toml"):
        read("nowhere.toml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'cell = "\xe9"')
    with pytest.raises(UserError, match=r"latin\.toml is no TOML: "):
        read(tmp_path / "latin.toml")


@pytest.fixture
def here(monkeypatch) -> Here:
    pool = Here()
    monkeypatch.setattr("harness.runner.find_executor", pool)
    return pool


def test_its_runs_are_one_plan_the_longest_first_and_once(write, here):
    path = write("""
        cell = ["rnn", "gru"]
        task = "gap-copy"
        updates = 4
        lr = [0.01]
        hidden-size = 4
        repetitions = 1
        engine = "reference"
        memory = "1G"
        timeout = 90
        executor = "ray"
        address = "head:6379"
        db = "other.db"
        [[run]]
        gaps = [2, 30]
        [[run]]
        train = "mixed"
        gaps = [2, 8]
        updates = 5
        repetitions = 2
        [[run]]
        cell = "rnn"
        gaps = [2, 30]
    """)
    labels = []
    results = harness.sweep(path, report=lambda e: e.kind == "begin" and labels.append(e.label))
    costs = [job.cost for job in here.jobs]
    assert costs == sorted(costs, reverse=True)
    trained = [(job.cell.rpartition("/")[2], job.protocol["name"], job.gap) for job in here.jobs]
    assert len(trained) == len(set(trained)) == 6
    assert {(cell, gap) for cell, _, gap in trained} == {
        (cell, gap) for cell in ("gru.py", "rnn.py") for gap in (None, 2, 30)
    }
    assert "gru · gap-copy · quick@1[gaps=2/30,hidden_size=4,lr=0.01,updates=4] · gap 30" in labels
    assert here.given == ("ray", "reference", 1 << 30, 90.0, "head:6379")
    rows = results.rows()
    assert [(row["cell"], row["runs"], row["reused"]) for row in rows] == [
        (cell, 2, 0) for cell in ("gru", "gru", "rnn", "rnn")
    ]
    assert results.store.database.name == "other.db"
    here.jobs.clear()
    again = harness.sweep(path)
    assert here.jobs == []
    assert again.rows() == [{**row, "reused": 2} for row in rows]
    assert len(harness.sweep(path, db="third.db").runs()) == 8


def test_the_reference_sweep_of_the_docs_is_one():
    mixed, fixed = read(ROOT / "docs" / "reference.toml").requests
    assert (mixed.protocol, fixed.protocol) == (QUICK_MIXED.vary(repetitions=5), QUICK)
    assert mixed.cells == fixed.cells
    assert [find_cell(name).id for name in mixed.cells] == list(mixed.cells)
    assert [task.id for task in mixed.tasks] == [find_task(text).id for text in suite()]
