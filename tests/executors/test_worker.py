"""What a worker makes of a job, without the process around it."""

import json
from pathlib import Path

import plugin_cells
import pytest
import torch

from harness.engine import Progress
from harness.engine.stack import StackedModel
from harness.executors import Done, Failed
from harness.executors.worker import describe, work

SETTINGS = {"device": "cpu", "engine": "eager", "memory": 1 << 28, "steps_ahead": 0}


class Wire:
    """Keeps what is told."""

    def __init__(self, gone=False):
        self.sent, self.gone = [], gone

    def __call__(self, kind, content):
        if self.gone:
            raise BrokenPipeError
        self.sent.append((kind, content))


def failed(job, **settings) -> Failed:
    outcome = work(job, {**SETTINGS, **settings}, Wire())
    assert isinstance(outcome, Failed)
    assert "\n" not in outcome.reason
    return outcome


def test_a_job_is_trained_and_says_on_what(job):
    wire = Wire()
    outcome = work(job(), SETTINGS, wire)
    assert isinstance(outcome, Done)
    assert [t.outcome for t in outcome.trained] == ["finished"] * 2
    assert set(outcome.trained[0].counts) == {("validation", 2), ("test", 2)}
    said = outcome.provenance
    assert said["engine"] == "eager"
    assert said["torch"] == torch.__version__
    assert said["device"] == "cpu"
    assert said["threads"] == torch.get_num_threads()
    assert said["tf32"] is False
    assert {"python", "device_name", "host"} < set(said)
    assert json.loads(json.dumps(said)) == said
    kind, last = wire.sent[-1]
    assert kind == "progress"
    assert isinstance(last, Progress)
    assert (last.update, last.updates, last.members) == (3, 3, 2)


def test_progress_is_told_now_and_then_and_at_the_end(job, monkeypatch):
    monkeypatch.setattr("harness.executors.worker.REPORT_SECONDS", 1e9)
    wire = Wire()
    work(job(updates=20), SETTINGS, wire)
    assert [content.update for kind, content in wire.sent if kind == "progress"] == [20]


def test_notes_are_passed_on(job):
    wire = Wire()
    outcome = work(job("branch"), SETTINGS, wire)
    (note,) = (content for kind, content in wire.sent if kind == "note")
    assert "data-dependent" in note
    assert outcome.provenance["engine"] == "reference"


@pytest.mark.parametrize("engine", ["eager", "reference"])
@pytest.mark.parametrize(
    ("name", "where", "error"),
    [
        ("raising", "raise RuntimeError", "RuntimeError: the step is out of order"),
        ("exiting", "sys.exit(3)", "SystemExit: 3"),
        (
            "ill_fitting",
            "def step(self, x):",
            "TypeError: Plugin.step() takes 2 positional arguments but 3 were given",
        ),
    ],
)
def test_what_a_cell_raises_is_a_crash_with_file_and_line(job, name, where, error, engine):
    outcome = failed(job(name), engine=engine)
    assert outcome.outcome == "crashed"
    assert outcome.reason == f"{name}.py:{plugin_cells.line(name, where)}: {error}"
    assert outcome.update == 1
    assert outcome.seconds > 0
    assert outcome.provenance["torch"] == torch.__version__


def test_the_update_of_a_crash_is_the_one_it_happened_in(job, monkeypatch):
    calls, losses = [], StackedModel.losses

    def third_time_unlucky(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("worn out")
        return losses(*arguments)

    monkeypatch.setattr(StackedModel, "losses", third_time_unlucky)
    assert failed(job(updates=9)).update == 3


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    ],
    ids=["python", "gpu", "cpu"],
)
def test_a_lack_of_memory_for_one_member_is_no_crash(job, monkeypatch, error):
    def losses(*arguments):
        raise error

    monkeypatch.setattr(StackedModel, "losses", losses)
    outcome = failed(job(members=((0, 0.01),)))
    assert outcome.outcome == "out-of-memory"
    assert outcome.reason == str(error).partition("\n")[0]


def test_another_version_of_the_cell_is_refused(job):
    asked = job(cell_version="0123456789ab")
    outcome = failed(asked)
    assert outcome.outcome == "killed"
    assert outcome.reason == f"{asked.cell} is not of version 0123456789ab any more"


def test_a_cell_that_is_gone_is_no_crash_of_the_cell(job, tmp_path):
    outcome = failed(job(cell=str(tmp_path / "gone.py")))
    assert outcome.outcome == "killed"
    assert "gone.py" in outcome.reason


def test_a_driver_that_is_gone_is_no_crash_of_the_cell(job):
    with pytest.raises(BrokenPipeError):
        work(job(), SETTINGS, Wire(gone=True))


def test_an_error_is_located_in_the_cell_wherever_its_file_lies(tmp_path):
    """Also in a folder named as torch is; never in torch, from where it may have been raised."""
    path = tmp_path / "torch" / "my_cell.py"
    path.parent.mkdir()
    path.write_text("import torch\n\n\ndef go():\n    torch.ones(2) + torch.nn.Linear(3, 3)(torch.ones(2))\n")
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(RuntimeError) as caught:
        space["go"]()
    assert Path(caught.traceback[-1].path).name != "my_cell.py"
    assert describe(caught.value).startswith("my_cell.py:5: RuntimeError: ")
