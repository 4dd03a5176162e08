"""What holds of every executor, wherever its workers are."""

import os
from pathlib import Path

import plugin_cells
import pytest

from harness.errors import UserError
from harness.executors import Done, Failed, Trial, find_executor
from harness.executors.process import SHOWN


@pytest.fixture(scope="module")
def ray(request):
    """Ray, with two CPUs, as all tests of this module have it together."""
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'recurrent-harness[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def executor(request):
    """One of each kind, started with one worker."""
    if request.param == "ray":
        request.getfixturevalue("ray")
    with find_executor(request.param, "eager", 1 << 28) as made:
        made.start("cpu", 1)
        yield made


def outcomes(messages) -> dict:
    return {number: content for number, kind, content in messages if kind == "outcome"}


@pytest.mark.slow
def test_jobs_of_every_fate_one_after_another(executor, job, capfd):
    """What one does to its worker happens to no other; what cells print is kept, and shown to nobody."""
    names = [
        "printing", "raising", "rnn", "vanishing", "exiting", "segfaulting", "flooding", "forking", "gru",
    ]  # fmt: skip
    messages = list(executor.run([job(name) for name in names]))
    assert executor.size == 1
    assert [number for number, kind, _ in messages if kind == "begin"] == list(range(len(names)))
    found = {names[number]: outcome for number, outcome in outcomes(messages).items()}
    for number, name in enumerate(names):
        kinds = [kind for n, kind, _ in messages if n == number]
        assert kinds[0] == "begin"
        assert kinds[-1] == "outcome"
        assert kinds.count("outcome") == 1
        assert ("progress" in kinds) == (name in ("printing", "rnn", "gru"))
    done = {name for name, outcome in found.items() if isinstance(outcome, Done)}
    assert done == {"printing", "rnn", "gru"}
    crashes = {name: outcome for name, outcome in found.items() if isinstance(outcome, Failed)}
    assert {name: crash.outcome for name, crash in crashes.items()} == {
        "raising": "crashed", "exiting": "crashed", "vanishing": "killed", "segfaulting": "killed",
        "flooding": "killed", "forking": "killed",
    }  # fmt: skip
    assert crashes["raising"].reason.startswith("raising.py:")
    assert crashes["exiting"].reason.startswith("exiting.py:")
    assert crashes["vanishing"].reason == "the worker exited with code 3"
    assert crashes["segfaulting"].reason == "the worker was ended by signal 11"
    assert "segfaulting.py" in crashes["segfaulting"].output
    assert crashes["flooding"].output.endswith("number 99999")
    assert crashes["flooding"].output.startswith("a line that nobody reads, number ")
    assert len(crashes["flooding"].output) <= SHOWN
    left = [int(line.split()[-1]) for line in crashes["forking"].output.splitlines()]
    assert len(left) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)
    assert crashes["vanishing"].output == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_what_takes_too_long_is_ended_and_the_next_has_as_long(executor, job):
    executor.timeout = 1
    found = outcomes(executor.run([job("hanging"), job("hanging")]))
    assert [o.outcome for o in found.values()] == ["timed-out"] * 2
    assert found[0].reason == "it was not done within 1 s"
    executor.timeout = None
    (outcome,) = outcomes(executor.run([job()])).values()
    assert isinstance(outcome, Done)


@pytest.mark.slow
def test_a_cell_is_built_where_it_does_no_harm(executor, tmp_path):
    names = ["hanging_when_built", "unbuildable", "rnn", "exiting_when_loaded"]
    paths = [plugin_cells.write(tmp_path, n) if n in plugin_cells._BODIES else n for n in names]
    executor.timeout = 2
    found = outcomes(executor.run([Trial(path, None, 8_000) for path in paths]))
    assert [found[0].outcome, found[0].reason] == ["timed-out", "it was not done within 2 s"]
    assert found[1] == found[2] == Done([], {})
    assert [found[3].outcome, found[3].reason] == ["killed", "the worker exited with code 4"]


def test_another_version_of_a_cell_is_refused(executor, job):
    (outcome,) = outcomes(executor.run([job(cell_version="0123456789ab")])).values()
    assert outcome.outcome == "killed"
    assert "is not of version 0123456789ab any more" in outcome.reason


def test_an_unknown_device_is_refused(executor):
    with pytest.raises(UserError, match=r"gpu.*write auto, cpu"):
        executor.start("gpu", 1)


def test_an_unknown_executor_and_an_address_of_nothing():
    with pytest.raises(UserError, match=r"unknown executor 'rya': did you mean ray\?"):
        find_executor("rya")
    with pytest.raises(UserError, match="--address x:1 is of a Ray cluster: it goes with --executor ray"):
        find_executor("local", address="x:1")
