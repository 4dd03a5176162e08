"""Worker processes: what they take and give back, how they die, and that none is left."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.executors import Done, Local, local, memory
from harness.executors.local import find_device
from harness.executors.memory import ENOUGH, LEAST
from harness.registry import ROOT


@pytest.fixture
def pool():
    """A pool of one worker, or of more: pool(2)."""
    with ExitStack() as stack:

        def make(workers: int = 1) -> Local:
            made = stack.enter_context(Local("eager", 1 << 28))
            made.start("cpu", workers)
            while made.size < workers:  # a machine of fewer cores
                made.size += 1
                made.workers.append(made._open())
            return made

        yield make


def outcomes(messages) -> dict:
    return {number: content for number, kind, content in messages if kind == "outcome"}


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def descendants(pid: int) -> set[int]:
    """The processes that it has started, and that these have."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return set()
    children = {int(child) for text in lists for child in text.split()}
    return children.union(*map(descendants, children))


def gone(pids, seconds=10.0) -> bool:
    until = time.monotonic() + seconds
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(lives, pids))


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_its_own_job_only(pool, job):
    jobs = [job("hanging"), job("rnn"), job("rnn"), job("rnn")]
    with pool(2) as workers:
        found, began = {}, {}
        for number, kind, content in workers.run(jobs):
            if kind == "begin":
                began[number] = next(w.process.pid for w in workers.workers if w.job == number)
            if kind == "outcome":
                found[number] = content
            if len(found) == 3:
                os.kill(began[0], signal.SIGKILL)
    assert found[0].outcome == "killed"
    assert found[0].reason == "the worker was ended by signal 9"
    assert all(isinstance(found[number], Done) for number in (1, 2, 3))


@pytest.mark.slow
def test_the_last_job_does_not_wait_for_a_worker_that_is_busy(pool, job):
    """The place of a worker that died is taken, though another could have had the job later."""
    jobs = [job("hanging"), job("vanishing"), job("rnn")]
    with pool(2) as workers:
        for number, kind, content in workers.run(jobs):
            assert (number, kind) != (0, "outcome")
            if (number, kind) == (2, "outcome"):
                assert isinstance(content, Done)
                break


@pytest.mark.slow
def test_a_worker_that_died_before_it_had_work_is_replaced(pool, job):
    with pool() as workers:
        process = workers.workers[0].process
        process.kill()
        process.wait()
        found = outcomes(workers.run([job()]))
    assert isinstance(found[0], Done)


class Started:
    """In place of a worker: what it was started with."""

    def __init__(self, threads, settings, limit):
        self.threads, self.settings, self.limit, self.stopped = threads, settings, limit, False

    def stop(self):
        self.stopped = True


@pytest.fixture
def machine(monkeypatch):
    """A machine of 4 cores, 2 GPUs and 100 GB that are free."""
    monkeypatch.setattr(local, "Worker", Started)
    monkeypatch.setattr(local, "cores", lambda: 4)
    monkeypatch.setattr(local, "free_memory", lambda: 100 << 30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("machine")
def test_cores_and_memory_are_shared_out():
    with Local("eager", 1000) as pool:
        pool.start("cpu", 99)
        workers = pool.workers
        assert [(w.threads, w.settings, w.limit) for w in workers] == 4 * [
            (1, {"device": "cpu", "engine": "eager", "memory": 250}, 25 << 30)
        ]
    assert all(w.stopped for w in workers)
    assert pool.workers == []


@pytest.mark.usefixtures("machine")
def test_there_is_a_worker_for_each_gpu():
    with Local("eager") as pool:
        pool.start("cuda", 99)
        assert [(w.threads, w.settings["device"]) for w in pool.workers] == [(2, "cuda:0"), (2, "cuda:1")]
        assert [w.settings["memory"] for w in pool.workers] == 2 * [ENOUGH // 2]
        del pool.workers[0]
        assert pool._open().settings["device"] == "cuda:0"
    with Local("eager") as pool:
        pool.start("cuda:1", 99)
        assert [(w.threads, w.settings["device"]) for w in pool.workers] == [(4, "cuda:1")]


@pytest.mark.usefixtures("machine")
def test_no_worker_is_started_that_can_have_no_work(monkeypatch):
    with Local("eager") as pool:
        pool.start("cpu", 3)
        assert len(pool.workers) == 3
    with Local("eager") as pool:
        pool.start("cpu", 1)
        assert len(pool.workers) == 1
    monkeypatch.setattr(local, "free_memory", lambda: 1 << 30)
    with Local("eager") as pool:
        pool.start("cpu", 4)
        assert {w.limit for w in pool.workers} == {LEAST}


def test_devices_have_names():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("", "cpu:1:2", "mps:x", "meta", "cuda:x"):
        with pytest.raises(UserError, match="unknown device"):
            find_device(name)


@pytest.mark.slow
def test_a_worker_that_holds_too_much_is_ended(pool, job):
    with pool() as workers:
        workers.workers[0].limit = 2 << 30
        found = outcomes(workers.run([job("hoarding"), job()]))
    assert found[0].outcome == "out-of-memory"
    assert re.fullmatch(r"the worker held 2\.\d GB, of 2\.1 GB that are its share", found[0].reason)
    assert isinstance(found[1], Done)


def test_who_is_killed_while_the_kernel_has_no_memory_is_out_of_memory(pool, job, monkeypatch):
    """The kernel sends the same signal as everybody else."""
    kills = iter((3, 4))
    monkeypatch.setattr(memory, "kills", lambda: next(kills))
    with pool() as workers:
        for _, kind, content in workers.run([job("hanging")]):
            if kind == "begin":
                workers.workers[0].process.kill()
            outcome = content
    assert (outcome.outcome, outcome.reason) == (
        "out-of-memory", "the kernel ended the worker for lack of memory",
    )  # fmt: skip


@pytest.mark.slow
def test_what_a_cell_that_never_returns_has_started_ends_with_the_pool(pool, job):
    """As with Ctrl-C: the consumer of the messages goes away in the middle."""
    with pool() as workers:
        for _, kind, _ in workers.run([job("forking_and_hanging")]):
            if kind == "begin":
                break
        until = time.monotonic() + 60
        worker = workers.workers[0]
        while not (children := descendants(worker.process.pid)) and time.monotonic() < until:
            time.sleep(0.1)
        assert children
    assert gone([worker.process.pid, *children], 1)


DRIVER = """
import sys
sys.path.insert(0, {root!r})
from harness.executors import Job, Local
with Local("eager", 1 << 28) as pool:
    pool.start("cpu", 99)
    print(*(worker.process.pid for worker in pool.workers), flush=True)
    for number, kind, content in pool.run([{job!r}] * len(pool.workers)):
        print(number, kind, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forking_and_hanging", "rnn"])
def test_no_worker_outlives_a_driver_that_is_killed(job, name):
    """Neither one that could tell from its pipe, nor one whose cell never returns."""
    script = DRIVER.format(root=str(ROOT), job=job(name, updates=10**6, batch_size=64))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as driver:
        try:
            pids = [int(pid) for pid in driver.stdout.readline().split()]
            assert driver.stdout.readline().split()[1] == "begin"
            time.sleep(6)  # the cell is at work now
            assert all(map(lives, pids))
            pids += [child for pid in pids for child in descendants(pid)]
        finally:
            driver.kill()
    assert gone(pids)


@pytest.mark.slow
def test_what_a_compiling_worker_has_started_ends_with_it(require, job):
    require("compiler")

    before = descendants(os.getpid())
    with Local("compiled", 1 << 28) as workers:
        workers.start("cpu", 1)
        seen = set()
        for _, kind, content in workers.run([job("step_only", updates=40)]):
            seen |= descendants(os.getpid()) - before
            if kind == "outcome":
                assert content.provenance["engine"] == "compiled"
    assert seen
    assert gone(seen)
