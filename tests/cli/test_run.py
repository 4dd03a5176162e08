"""`harness run`, as its users see it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import plugin_cells
import pytest
from here import Here
from rich.console import Console

from harness import runner
from harness.cli import main
from harness.cli._training import Bars
from harness.engine import Progress
from harness.executors import Failed
from harness.forecast import Forecast
from harness.registry import ROOT, cell_files, find_task, suite
from harness.runner import Event
from harness.store import Store

SMALL = ("--updates", "20", "--gaps", "2,4", "--repetitions", "2", "--lr", "0.01", "--hidden-size", "8")
LONG = (*SMALL, "--updates", "60", "--gaps", "2,3,4,5,6,7")
GRU = ("--cell", "gru", "--task", "gap-copy")


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def rows(self) -> list[dict]:
        """The JSON objects printed: and nothing else is."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def here(monkeypatch) -> Here:
    pool = Here()
    monkeypatch.setattr(runner, "find_executor", pool)
    return pool


@pytest.fixture
def cli(here, tmp_path, monkeypatch, capsys) -> Iterator:
    """cli("--cell", "gru", …): `harness run …` in this process, trainings made up, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    terminated = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> Done:
        here.jobs.clear()
        monkeypatch.setattr(sys, "argv", ["harness", "run", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return Done(end.value.code, *capsys.readouterr())

    yield call
    signal.signal(signal.SIGTERM, terminated)


BAD = {
    "cell": (["--cell", "gruu", "--task", "gap-copy"], "unknown cell 'gruu': did you mean gru?"),
    "task": (["--cell", "gru", "--task", "gap-cpy"], "unknown task 'gap-cpy': did you mean gap-copy?"),
    "task's option": (
        ["--cell", "gru", "--task", "gap-copy[paylod=2]"],
        "unknown option of gap-copy 'paylod': did you mean payload?",
    ),
    "cell's option": (["--cell", "gru[rest=1]", "--task", "gap-copy"], "did you mean reset?"),
    "id": (["--cell", "gru[", "--task", "gap-copy"], "'gru[' is not an id"),
    "no cell": (["--task", "gap-copy"], "'--cell'"),
    "no task": (["--cell", "gru"], "'--task'"),
    "option": ([*GRU, "--updats", "3"], "--updates"),
    "gaps": ([*GRU, "--gaps", "2;4"], "--gaps '2;4' is no list of numbers: write them as 2,4,8"),
    "no gaps": ([*GRU, "--gaps", ""], "--gaps '' is no list of numbers"),
    "small gap": (
        ["--cell", "gru", "--task", "nl-birthplace", "--gaps", "2,64"],
        f"nl-birthplace cannot have a gap of 2: its smallest gap is {find_task('nl-birthplace').min_gap}",
    ),
    "lr": ([*GRU, "--lr", "fast"], "--lr 'fast' is no list of numbers: write them as 0.003,0.01"),
    "negative lr": ([*GRU, "--lr", "-1"], "lr=-1: must be above 0"),
    "updates": ([*GRU, "--updates", "many"], "'--updates': 'many'"),
    "no updates": ([*GRU, "--updates", "0"], "updates=0: must be at least 1"),
    "repetitions": ([*GRU, "--repetitions", "0"], "repetitions=0: must be at least 1"),
    "width": (["--cell", "clockwork", "--task", "gap-copy", "--hidden-size", "9"], "hidden size 9"),
    "protocol": ([*GRU, "--protocol", "quikc"], "unknown protocol 'quikc': did you mean quick"),
    "train": ([*GRU, "--train", "mixt"], "'mixt'"),
    "engine": ([*GRU, "--engine", "egaer"], "unknown engine 'egaer': did you mean eager?"),
    "device": ([*GRU, "--device", "gpu"], "unknown device 'gpu': write auto, cpu, cuda or cuda:n"),
    "no such device": ([*GRU, "--device", "cuda:99"], "device cuda:99 is not here"),
    "memory": ([*GRU, "--memory", "4X"], "--memory '4X': write a size as 500M or 4G"),
    "timeout": ([*GRU, "--timeout", "0"], "timeout=0: must be above 0 seconds"),
    "db": ([*GRU, "--db", "nosuch://host/x"], "nosuch"),
    "db's folder": ([*GRU, "--db", "no/such/folder/results.db"], "no/such/folder"),
    "db's file": ([*GRU, "--db", __file__], "is not a store"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_one_line_that_names_it_and_exit_code_2(cli, here, what):
    arguments, message = BAD[what]
    done = cli(*arguments)
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("harness: ")
    assert message in line
    assert here.jobs == []


def test_json_is_a_line_for_each_cell_and_task(cli):
    done = cli(
        "--cell",
        "gru",
        "--cell",
        "rnn",
        "--task",
        "gap-copy",
        "--task",
        "gap-copy[payload=2]",
        *SMALL,
        "--json",
    )
    assert done.code == 0
    rows = done.rows()
    assert [(row["cell"], row["task"]) for row in rows] == [
        (cell, task) for cell in ("gru", "rnn") for task in ("gap-copy@1", "gap-copy@1[payload=2]")
    ]
    for row in rows:
        assert list(row) == [
            "cell", "task", "protocol", "division", "hidden_size", "cell_parameters", "state_floats", "lr",
            "repetitions", "runs", "failed", "reported", "seconds", "gap_auc", "horizon", "curve", "command",
            "reused",
        ]  # fmt: skip
        assert row["protocol"] == "quick@1[gaps=2/4,hidden_size=8,lr=0.01,updates=20]"
        assert (row["division"], row["hidden_size"], row["state_floats"]) == ("open", 8, 8)
        assert (row["repetitions"], row["runs"], row["reused"], row["failed"]) == (2, 4, 0, 0)
        assert row["lr"] == {"2": 0.01, "4": 0.01}
        assert row["seconds"] == 4 * 0.5
        assert set(row["gap_auc"]) == {"value", "low", "high"}
        assert set(row["horizon"]) == {"gap", "censored"}
        assert [point["gap"] for point in row["curve"]] == [2, 4]
        for point in row["curve"]:
            assert set(point) == {"gap", "accuracy", "low", "high", "chance", "extrapolated"}
            assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
            assert (point["chance"], point["extrapolated"]) == (1 / 8, False)


def test_of_mixed_gaps_the_learning_rate_is_one_number(cli):
    (row,) = cli(*GRU, *SMALL, "--train", "mixed", "--json").rows()
    assert row["lr"] == 0.01
    assert row["protocol"].startswith("quick-mixed@1[")


def test_the_same_command_again_says_that_all_was_there(cli, here):
    (first,) = cli(*GRU, *SMALL, "--json").rows()
    (second,) = cli(*GRU, *SMALL, "--json").rows()
    assert here.jobs == []
    assert second == {**first, "reused": 4}


def test_one_more_repetition_trains_that_one(cli, here):
    cli(*GRU, *SMALL, "--json")
    (row,) = cli(*GRU, *SMALL, "--repetitions", "3", "--json").rows()
    assert here.members == [(2, 2, 0.01), (4, 2, 0.01)]
    assert (row["repetitions"], row["runs"], row["reused"]) == (3, 6, 4)


def test_all_is_every_cell_and_the_suite(cli, here):
    rows = cli("--cell", "all", "--task", "all", "--updates", "1", "--train", "mixed", "--json").rows()
    expected = {(cell, find_task(task).id) for cell in cell_files() for task in suite()}
    assert {(row["cell"], row["task"]) for row in rows} == expected
    assert len(rows) == len(here.jobs) == len(expected)


def test_a_file_is_a_cell(cli, tmp_path):
    path = plugin_cells.write(tmp_path, "step_only")
    (row,) = cli("--cell", path, "--task", "gap-copy", *SMALL, "--json").rows()
    assert (row["cell"], row["state_floats"]) == ("step-only", 8)


def test_the_table_and_the_plot_are_the_result_and_progress_is_not(cli):
    done = cli(*GRU, "--cell", "rnn", *SMALL)
    assert done.code == 0
    for text in ("gap-copy@1 · quick@1[", "open division", "accuracy", "gap (tokens, log scale)", "horizon"):
        assert text in done.out
    assert re.search(r"A +gru ", done.out)
    assert re.search(r"B +rnn ", done.out)
    assert done.err.splitlines() == [
        "1/4 gru · gap-copy · gap 4",
        "2/4 rnn · gap-copy · gap 4",
        "3/4 gru · gap-copy · gap 2",
        "4/4 rnn · gap-copy · gap 2",
    ]


def test_a_reference_is_marked_as_such(cli):
    out = cli(*GRU, "--cell", "reservoir", *SMALL).out
    assert re.search(r"A +gru +\d", out)
    assert len(re.findall(r"B +reservoir \(reference\) +\d", out)) == 2


def test_a_crash_is_a_result_that_is_shown(cli, here, tmp_path):
    here.real = True
    path = plugin_cells.write(tmp_path, "raising")
    done = cli("--cell", path, "--task", "gap-copy", *SMALL)
    assert done.code == 0
    line = plugin_cells.line("raising", "raise RuntimeError")
    assert f"raising.py:{line}: RuntimeError: the step is out of order" in done.out
    assert "Traceback" not in done.out + done.err
    done = cli("--cell", path, "--task", "gap-copy", *SMALL, "--json")
    (row,) = done.rows()
    assert (row["runs"], row["failed"], row["reused"]) == (4, 4, 4)
    assert f"raising.py:{line}: RuntimeError: the step is out of order" in done.err


def test_divergence_is_shown_with_its_update(cli, here, tmp_path):
    here.real = True
    path = plugin_cells.write(tmp_path, "fuse")
    done = cli("--cell", path, "--task", "gap-copy", *SMALL, "--gaps", "2", "--repetitions", "1")
    assert done.code == 0
    (update,) = Store.open("results.db").runs()["outcome_update"]
    assert re.search(rf"fuse.*diverged at update {update:.0f}\b", done.out)


def test_what_is_unfinished_is_named_and_the_exit_code_is_1(cli, here):
    here.fate = {0: Failed("killed", "the worker was ended by signal 9", 3, 1.0, {})}
    done = cli(*GRU, *SMALL, "--json")
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "unfinished: gru · gap-copy · gap 4: killed: the worker was ended by signal 9"
    )
    (row,) = done.rows()
    assert (row["runs"], [point["gap"] for point in row["curve"]]) == (2, [2])


@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_when_nothing_could_be_finished_nothing_is_shown(cli, here, json_):
    here.fate = dict.fromkeys((0, 1), Failed("out-of-memory", "no room", 1, 1.0, {}))
    done = cli(*GRU, *SMALL, *json_)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("unfinished: ") == 2


def test_given_up_and_retried(cli, here):
    here.fate = {0: Failed("killed", "so it goes", 3, 1.0, {})}
    for _ in range(runner.ATTEMPTS):
        assert cli(*GRU, *SMALL, "--gaps", "2").code == 1
    done = cli(*GRU, *SMALL, "--gaps", "2")
    assert (done.code, here.jobs) == (1, [])
    assert "--retry" in done.err
    here.fate = {}
    assert cli(*GRU, *SMALL, "--gaps", "2", "--retry").code == 0
    assert len(here.jobs) == 1


def test_an_interruption_says_how_to_go_on(cli, here):
    here.fate = {1: KeyboardInterrupt()}
    done = cli(*GRU, *SMALL, "--json")
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "Interrupted. What is finished is kept; the same command continues."
    here.fate = {}
    (row,) = cli(*GRU, *SMALL, "--json").rows()
    assert (row["runs"], row["reused"]) == (4, 2)


def test_the_options_reach_the_runner(cli, monkeypatch):
    given = {}

    def run(cells, tasks, *, report, **options):
        given.update(options, cells=cells, tasks=tasks)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", run)
    cli(
        *GRU, "--cell", "rnn", "--gaps", "8,2", "--lr", "3e-3,.1", "--updates", "7", "--repetitions", "4",
        "--hidden-size", "12", "--train", "mixed", "--protocol", "quick", "--device", "cpu",
        "--engine", "eager", "--memory", "3G", "--timeout", "90", "--executor", "ray", "--address", "auto",
        "--db", "some.db", "--retry",
    )  # fmt: skip
    assert given == {
        "cells": ("gru", "rnn"), "tasks": ("gap-copy",), "gaps": (8, 2), "lr": (0.003, 0.1), "updates": 7,
        "repetitions": 4, "hidden_size": 12, "train": "mixed", "protocol": "quick", "device": "cpu",
        "engine": "eager", "memory": 3 << 30, "timeout": 90.0, "executor": "ray", "address": "auto",
        "db": "some.db", "retry": True,
    }  # fmt: skip
    cli(*GRU, "--memory", "500m")
    assert given["memory"] == 500 << 20
    assert {given[key] for key in ("gaps", "lr", "updates", "repetitions", "hidden_size", "train", "db")} == {
        None
    }


def test_the_store_is_where_the_environment_says(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DB", str(tmp_path / "elsewhere.db"))
    cli(*GRU, *SMALL)
    assert not (tmp_path / "results.db").exists()
    assert len(Store.open(str(tmp_path / "elsewhere.db")).runs()) == 4


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        (Forecast((5.0, 4.0), 2), ""),  # not worth a word
        (Forecast((700.0, 20.0), 2), "about 12 min: 2 populations on 2 workers\n"),
        (None, "2 populations, nothing of the kind has trained on this device yet\n"),
    ],
)
def test_how_long_it_will_take_is_said_before(forecast, said):
    screen = io.StringIO()
    with Bars(Console(file=screen, width=120)) as bars:
        bars.report(Event(0, 2, "all", "plan", forecast=forecast))
    assert screen.getvalue() == said


def test_the_bars_show_updates_loss_and_accuracy():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with Bars(console) as bars:
        bars.report(Event(0, 2, "all", "plan", forecast=Forecast((90.0, 30.0), 1)))
        assert "about 2 min: 2 populations on 1 worker\n" in screen.getvalue().replace("\r", "")
        bars.report(Event(0, 2, "gru · gap-copy · gap 4", "begin"))
        bars.report(Event(0, 2, "gru · gap-copy · gap 4", "progress", Progress(7, 20, 3, 4, None, None)))
        bars.report(Event(0, 2, "gru · gap-copy · gap 4", "progress", Progress(14, 20, 3, 4, 0.25, 0.75)))
        bars.report(Event(0, 2, "gru · gap-copy · gap 4", "note", note="goes [on] slowly"))
        bars.progress.refresh()
        shown = screen.getvalue()
        (whole,) = (task for task in bars.progress.tasks if task.description == "all")
        assert whole.percentage == pytest.approx(100 * 0.75 * 14 / 20)  # by what each will take
        bars.report(Event(0, 2, "gru · gap-copy · gap 4", "end"))
        assert whole.percentage == pytest.approx(75)
        assert not bars.bars
    assert "loss 0.250  accuracy 0.750  3/4 training" in shown
    assert "14/20" in shown
    assert "gru · gap-copy · gap 4: goes [on] slowly" in shown


def test_the_bars_take_what_another_driver_has_left():
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=120)) as bars:
        bars.report(Event(0, 1, "all", "plan"))
        bars.report(Event(1, 2, "gru · gap-copy · gap 4", "begin"))
        bars.report(Event(1, 2, "gru · gap-copy · gap 4", "progress", Progress(7, 20, 3, 4, None, None)))
        bars.report(Event(1, 2, "gru · gap-copy · gap 4", "end"))
        assert not bars.bars


# What follows is the command itself, with processes of its own.


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", "run", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def really(folder: Path, *arguments: str) -> Done:
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_from_the_first_command_to_the_last_repetition(tmp_path):
    """A published cell and one that prints, to nobody; trained, there already, one repetition more."""
    cells = ["--cell", "gru", "--cell", plugin_cells.write(tmp_path, "printing"), "--task", "gap-copy"]
    first = really(tmp_path, *cells, *SMALL, "--json")
    assert first.code == 0
    assert "a cell speaks" not in first.out + first.err
    assert [(row["cell"], row["runs"], row["reused"]) for row in first.rows()] == [
        ("gru", 4, 0),
        ("printing", 4, 0),
    ]
    again = really(tmp_path, *cells, *SMALL, "--json")
    assert again.rows() == [{**row, "reused": 4} for row in first.rows()]
    assert again.err == ""
    more = really(tmp_path, *cells, *SMALL, "--repetitions", "3", "--json")
    assert [(row["runs"], row["reused"]) for row in more.rows()] == [(6, 4), (6, 4)]
    runs = Store.open(str(tmp_path / "results.db")).runs()
    assert set(runs["outcome"]) == {"finished"}
    assert {p["engine"] for p in runs["provenance"]} == {"eager"}


@pytest.mark.slow
def test_a_crash_an_exit_and_a_nan_with_workers(tmp_path):
    cells = [
        part
        for name in ("raising", "exiting", "fuse")
        for part in ("--cell", plugin_cells.write(tmp_path, name))
    ]
    done = really(tmp_path, *cells, "--task", "gap-copy", *SMALL, "--gaps", "2", "--json")
    assert done.code == 0
    assert "Traceback" not in done.err
    assert {row["cell"]: (row["runs"], row["failed"]) for row in done.rows()} == {
        "raising": (2, 2), "exiting": (2, 2), "fuse": (2, 2),
    }  # fmt: skip
    shown = really(tmp_path, *cells, "--task", "gap-copy", *SMALL, "--gaps", "2")
    assert "exiting.py:" in shown.out
    assert "diverged at update" in shown.out


def interrupted(folder: Path, number: int, *, group: bool) -> tuple[Done, list[int]]:
    """Start, wait until something is finished and something at work, send the signal; the workers' pids."""
    process = subprocess.Popen(
        command(*GRU, *LONG), cwd=folder, env=environment(), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.1)
            if (folder / "results.db").exists() and len(_finished(folder)):
                break
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = [int(pid) for pid in path.read_text().split()]
        (os.killpg if group else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=30)
        return Done(process.returncode, out, err), workers
    finally:
        process.kill()


def _finished(folder: Path) -> list[int]:
    try:
        return Store.open(str(folder / "results.db"), create=False).runs()["run"].tolist()
    except Exception:
        return []  # it is being made


def continues(folder: Path) -> None:
    """The same command does the rest and only that; nothing of the workers is left."""
    before = _finished(folder)
    assert 0 < len(before) < 12
    done = really(folder, *GRU, *LONG, "--json")
    assert done.code == 0
    (row,) = done.rows()
    assert (row["runs"], row["reused"]) == (12, len(before))
    assert set(before) < set(_finished(folder))


def ended(pids: list[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.1)
    return not alive


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["Ctrl-C", "SIGTERM"]
)
def test_stopped_politely_it_says_so_and_goes_on_later(tmp_path, number, group):
    done, workers = interrupted(tmp_path, number, group=group)
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "Interrupted. What is finished is kept; the same command continues."
    assert "Traceback" not in done.err
    assert workers
    assert ended(workers, 0)
    assert "killed" not in set(Store.open(str(tmp_path / "results.db")).attempts()["outcome"])
    continues(tmp_path)


@pytest.mark.slow
def test_killed_it_goes_on_later(tmp_path):
    done, workers = interrupted(tmp_path, signal.SIGKILL, group=False)
    assert done.code == -signal.SIGKILL
    assert workers
    assert ended(workers, 10)
    assert "killed" in set(Store.open(str(tmp_path / "results.db")).attempts()["outcome"])
    continues(tmp_path)


@pytest.mark.slow
def test_cells_that_take_their_process_with_them_are_unfinished_and_the_others_run(tmp_path):
    names = (
        "hanging", "vanishing", "segfaulting", "flooding", "forking",
        "hanging_when_built", "exiting_when_loaded",
    )  # fmt: skip
    cells = [part for name in names for part in ("--cell", plugin_cells.write(tmp_path, name))]
    small = [*SMALL, "--gaps", "2", "--repetitions", "1", "--timeout", "15"]
    done = really(tmp_path, *cells, *GRU, *small, "--json")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert [(row["cell"], row["runs"]) for row in done.rows()] == [("gru", 1)]
    lines = done.err.splitlines()
    why = {line.split()[1]: line.partition("gap 2: ")[2] for line in lines if "unfinished: " in line}
    assert {name: why[name] for name in names[:5]} == {
        "hanging": "timed-out: it was not done within 15 s",
        "vanishing": "killed: the worker exited with code 3",
        "segfaulting": "killed: the worker was ended by signal 11",
        "flooding": "killed: the worker exited with code 5",
        "forking": "killed: the worker exited with code 6",
    }
    built = [line for line in lines if "cannot be loaded and built" in line]
    assert [line.rpartition(": ")[2] for line in built] == [
        "it was not done within 15 s", "the worker exited with code 4",
    ]  # fmt: skip
    assert len(done.err) < 20_000
    assert "a line that nobody reads, number 99999" in done.err
    assert "segfaulting.py" in done.err  # where it was
    attempts = Store.open(str(tmp_path / "results.db")).attempts().set_index("cell")
    assert attempts["outcome"].to_dict() == {
        "gru": "finished", "hanging": "timed-out", "vanishing": "killed", "segfaulting": "killed",
        "flooding": "killed", "forking": "killed",
    }  # fmt: skip
    assert "number 99999" in attempts.loc["flooding", "reason"]
    left = [int(line.split()[-1]) for line in lines if line.startswith("left behind")]
    assert left
    assert ended(left, 0)
