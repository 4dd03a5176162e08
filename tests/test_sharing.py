"""Two drivers, one store: each run is trained by one of them, and both have all results."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from here import Here

import harness
from harness.executors import Job
from harness.sharing import Share
from harness.store import RunRequest, Store
from harness.store.life import STALE_SECONDS

JOB = Job("gru", "v", "gap-copy", {}, 8, 16, ((0, 0.01), (1, 0.01), (2, 0.01), (3, 0.01)), cost=40.0)
ELSEWHERE = "node7:4711:0"


def requests(job: Job) -> list[RunRequest]:
    return [
        RunRequest(
            cell=job.cell, cell_name=job.cell, cell_version="v", task="gap-copy@1", protocol="quick@1",
            division="open", repetition=repetition, lr=lr, gap=job.gap, hidden_size=8, dtype="float32",
            numerics=1,
        )
        for repetition, lr in job.members
    ]  # fmt: skip


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setattr("harness.sharing.LOOK_SECONDS", 0.01)
    return Store.open(str(tmp_path / "results.db"))


@pytest.fixture
def waited() -> list[str]:
    return []


@pytest.fixture
def waiting(waited) -> Callable[[Job, str], None]:
    return lambda job, why: waited.append(f"{[r for r, _ in job.members]} {why}")


def test_members_that_another_has_are_left_to_it(store, waiting, waited):
    theirs = store.claim(requests(JOB)[1:3], owner=ELSEWHERE)
    with Share(store, requests) as share:
        attempt, part = share.claim(JOB)
        assert (part.members, part.cost) == (((0, 0.01), (3, 0.01)), 20.0)
        assert share.progress == {attempt: 0.0}
        assert share.claim(JOB) == (attempt, part)
        share = Share(store, requests)
        assert share.claim(JOB) is None
        store.end(theirs.attempt, "timed-out")
        (left,) = share.others(waiting)
        assert (left.members, left.cost) == (((1, 0.01), (2, 0.01)), 20.0)
        assert waited == []


def test_who_waits_says_so_once_and_takes_over_from_the_dead(store, waiting, waited):
    theirs = store.claim(requests(JOB), owner=ELSEWHERE)
    with Share(store, requests) as share:
        assert share.claim(JOB) is None

        def die() -> None:
            with store.database.transaction(write=True) as connection:
                old = f"UPDATE attempts SET heartbeat = heartbeat - {STALE_SECONDS + 1}"
                connection.exec_driver_sql(f"{old} WHERE id = {theirs.attempt}")

        threading.Timer(0.2, die).start()
        assert share.others(waiting) == [JOB]
        assert waited == [
            "[0, 1, 2, 3] waiting until process 4711 on node7 has trained it, or has been silent for 120 s"
        ]
        _, part = share.claim(JOB)
        assert part == JOB
        assert store.attempts()["outcome"].tolist() == ["killed", None]
        assert share.others(waiting) == []
        assert len(waited) == 1


def _claim_and_fail(share: Share) -> None:
    share.claim(JOB)
    raise RuntimeError


def test_leaving_early_interrupts_what_goes_on(store):
    share = Share(store, requests)
    with pytest.raises(RuntimeError), share:
        _claim_and_fail(share)
    assert store.attempts()["outcome"].tolist() == ["interrupted"]
    assert share.claim(JOB) is not None


def test_attempts_beat_with_their_progress_until_they_are_lost(store, monkeypatch):
    monkeypatch.setattr("harness.store.life.BEAT_SECONDS", 0.01)
    with Share(store, requests) as share:
        attempt, _ = share.claim(JOB)
        share.progress[attempt] = 0.5
        deadline = threading.Event()
        while store.attempts()["progress"][0] != 0.5:
            assert not deadline.wait(0.01)
        store.end(attempt, "killed")
        while share.progress:
            assert not deadline.wait(0.01)


SMALL = {"updates": 3, "gaps": [2, 3], "lr": [0.01], "hidden_size": 4, "repetitions": 2}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.sharing.LOOK_SECONDS", 0.01)
    return lambda **other: harness.run(cell="rnn", task="gap-copy", **{**SMALL, **other})


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_drivers_at_once_share_the_work(run, monkeypatch, request, kind):
    """One begins while the other trains: each population is trained once, and both have all results."""
    db = request.getfixturevalue("postgres_url") if kind == "postgresql" else "results.db"
    pools, inside, results = {}, threading.Barrier(2), {}

    def pool(*given):
        return pools[threading.current_thread().name](*given)

    class Slow(Here):
        def run(self, jobs, *given, **named):
            for number, event in enumerate(super().run(jobs, *given, **named)):
                if number == 0:
                    inside.wait(120)  # both have begun something
                yield event

    monkeypatch.setattr("harness.runner.find_executor", pool)
    said = []

    def drive() -> None:
        name = threading.current_thread().name
        results[name] = run(db=db, report=lambda event: said.append(event.note))

    threads = [threading.Thread(target=drive, name=name) for name in ("one", "other")]
    for thread in threads:
        pools[thread.name] = Slow()
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(pools[thread.name].jobs) for thread in threads] == [1, 1]
    assert sorted(job.gap for pool in pools.values() for job in pool.jobs) == [2, 3]
    for result in results.values():
        (row,) = result.rows()
        assert (row["runs"], row["reused"], result.unfinished) == (4, 2, [])
    assert results["one"].store.attempts()["outcome"].tolist() == ["finished", "finished"]


COMMAND = [
    *(sys.executable, "-m", "harness", "run", "--cell", "rnn", "--task", "gap-copy", "--hidden-size", "4"),
    *("--lr", "0.01", "--engine", "eager", "--device", "cpu", "--json", "--db", "shared.db"),
]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
def test_a_paused_driver_that_wakes_up_doubles_and_alters_nothing(tmp_path):
    """As real processes: what the sleeper had is trained by another, and what it then records is too late."""
    long = [*COMMAND, "--updates", "200", "--gaps", "64", "--repetitions", "1"]
    sleeper = subprocess.Popen(long, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    store = None
    while store is None or store.attempts().empty:
        assert sleeper.poll() is None
        if (tmp_path / "shared.db").exists() and (tmp_path / "shared.db").stat().st_size:
            store = Store.open(str(tmp_path / "shared.db"))
    os.kill(sleeper.pid, signal.SIGSTOP)
    with store.database.transaction(write=True) as connection:
        owner = f"'elsewhere:{sleeper.pid}:0'"  # so that only its heart tells
        connection.exec_driver_sql(f"UPDATE attempts SET heartbeat = heartbeat - 200, owner = {owner}")
    done = subprocess.run(long, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before = store.runs(), store.scores()
    os.kill(sleeper.pid, signal.SIGCONT)
    out, err = sleeper.communicate(timeout=120)
    assert sleeper.returncode == 0, err
    assert out.splitlines()
    for now, was in zip((store.runs(), store.scores()), before, strict=True):
        assert now.equals(was)
    assert store.attempts()["outcome"].tolist() == ["killed", "finished"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
def test_two_commands_at_once_share_the_work(tmp_path):
    """As real processes: together they make as many attempts as there are populations."""
    both = [*COMMAND, "--updates", "60", "--gaps", "2,4,8,16", "--repetitions", "1"]
    drivers = [
        subprocess.Popen(both, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [driver.communicate(timeout=120) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    store = Store.open(str(tmp_path / "shared.db"))
    assert len(store.runs()) == 4
    assert store.attempts()["outcome"].tolist() == ["finished"] * 4
    assert {name.split(":")[0] for name in store.attempts()["owner"]} == {socket.gethostname()}
