"""Worker processes: what they take and give back, how they die, and that none is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.executors import Done, Failed, Pool, local
from harness.registry import ROOT


@pytest.fixture
def pool():
    """A pool of one worker, or of more: pool(2)."""
    pools = []

    def make(workers: int = 1) -> Pool:
        made = Pool("eager", 1 << 28)
        made.start("cpu")
        for worker in made.workers[workers:]:
            worker.stop()
        made.size, made.workers = workers, made.workers[:workers]
        while len(made.workers) < workers:
            made.workers.append(made._worker())
        pools.append(made)
        return made

    yield make
    for made in pools:
        made.__exit__()


def outcomes(messages) -> dict:
    return {number: content for number, kind, content in messages if kind == "outcome"}


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def gone(pids, seconds=10.0) -> bool:
    until = time.monotonic() + seconds
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(lives, pids))


def test_jobs_of_every_fate_beside_each_other(pool, job, capfd):
    """One worker takes them in order; one that dies takes its own job with it and is replaced."""
    names = ["printing", "raising", "rnn", "vanishing", "exiting", "gru"]
    with pool() as workers:
        first = workers.workers[0].process.pid
        messages = list(workers.run([job(name) for name in names]))
        second = workers.workers[0].process.pid
        assert first != second
    assert gone([first, second], 0)
    assert [number for number, kind, _ in messages if kind == "begin"] == list(range(len(names)))
    found = outcomes(messages)
    done = {names[number] for number, outcome in found.items() if isinstance(outcome, Done)}
    assert done == {"printing", "rnn", "gru"}
    crashes = {names[n]: outcome for n, outcome in found.items() if isinstance(outcome, Failed)}
    assert {name: crash.outcome for name, crash in crashes.items()} == {
        "raising": "crashed", "exiting": "crashed", "vanishing": "killed",
    }  # fmt: skip
    assert crashes["raising"].reason.startswith("raising.py:")
    assert crashes["exiting"].reason.startswith("exiting.py:")
    assert crashes["vanishing"].reason == "the worker exited with code 3"
    for number, name in enumerate(names):
        if name in done:
            kinds = [kind for n, kind, _ in messages if n == number]
            assert kinds[0] == "begin"
            assert kinds[-1] == "outcome"
            assert "progress" in kinds[1:-1]
    out, err = capfd.readouterr()
    assert out == ""
    assert "a cell speaks" in err


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

    def __init__(self, threads, settings):
        self.threads, self.settings, self.stopped = threads, settings, False

    def stop(self):
        self.stopped = True


def test_cores_and_memory_are_shared_out(monkeypatch):
    monkeypatch.setattr(local, "_Worker", Started)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    with Pool("eager", 1000) as pool:
        pool.start("cpu")
        on_cpu = pool.workers
        assert [(w.threads, w.settings) for w in on_cpu] == 4 * [
            (1, {"device": "cpu", "engine": "eager", "memory": 250})
        ]
        pool.start("cpu")
        assert pool.workers is on_cpu
        pool.start("cuda:0")
        assert all(w.stopped for w in on_cpu)
        (one,) = pool.workers
        assert (one.threads, one.settings) == (16, {"device": "cuda:0", "engine": "eager", "memory": 1000})
    assert one.stopped
    assert pool.workers == []


def test_without_a_number_half_of_the_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert Pool("eager", None).memory == 500 * 4096


DRIVER = """
import sys
sys.path.insert(0, {root!r})
from harness.executors import Job, Pool
with Pool("eager", 1 << 28) as pool:
    pool.start("cpu")
    print(*(worker.process.pid for worker in pool.workers), flush=True)
    for number, kind, content in pool.run([{job!r}] * len(pool.workers)):
        print(number, kind, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hanging", "rnn"])
def test_no_worker_outlives_a_driver_that_is_killed(job, name):
    """Neither one that could tell from its pipe, nor one whose cell never returns."""
    script = DRIVER.format(root=str(ROOT), job=job(name, updates=10**6, batch_size=64))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as driver:
        try:
            pids = [int(pid) for pid in driver.stdout.readline().split()]
            assert driver.stdout.readline().split()[1] == "begin"
            time.sleep(6)  # the cell is at work now
            assert all(map(lives, pids))
        finally:
            driver.kill()
    assert gone(pids)


@pytest.mark.slow
def test_what_a_compiling_worker_has_started_ends_with_it(require, job):
    require("compiler")

    def descendants() -> set[int]:
        mine, found = {os.getpid()}, set()
        while mine:
            children = {
                int(pid)
                for parent in mine
                for path in Path(f"/proc/{parent}/task").glob("*/children")
                for pid in path.read_text().split()
            }
            found |= children
            mine = children
        return found

    before = descendants()
    with Pool("compiled", 1 << 28) as workers:
        workers.size = 1
        workers.device = "cpu"
        seen = set()
        for _, kind, content in workers.run([job("step_only", updates=40)]):
            seen |= descendants() - before
            if kind == "outcome":
                assert content.provenance["engine"] == "compiled"
    assert seen
    assert gone(seen)
