"""Many processes, and their violent ends."""

import multiprocessing
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from harness.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def together(count: int, work: Callable[[int], None], kind: type) -> None:
    """Do `work` in that many processes or threads, all starting at once. Fails when one of them fails."""
    barrier = threading.Barrier(count) if kind is threading.Thread else multiprocessing.Barrier(count)
    failed = []

    def start(index: int) -> None:
        barrier.wait()
        try:
            work(index)
        except BaseException as error:
            failed.append(error)
            raise

    workers = [kind(target=start, args=(index,)) for index in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed
    assert all(getattr(worker, "exitcode", 0) == 0 for worker in workers)


@pytest.mark.parametrize("kind", [multiprocessing.Process, threading.Thread])
def test_a_run_recorded_by_many_at_once_is_one_run(store, make, kind):
    requests = [make.request(repetition=i) for i in range(5)]

    def work(index: int) -> None:
        for request in random.Random(index).sample(requests, len(requests)):
            make.record(store, make.result(request, gap_auc=index / 10), owner=f"elsewhere:{index}:0")

    together(4, work, kind)
    assert store.counts() == {"runs": 5, "retracted": 0, "attempts": 5}
    assert store.finished(r.key for r in requests) == {r.key for r in requests}
    assert len(store.scores()) == 2 * 5


@pytest.mark.parametrize("kind", [multiprocessing.Process, threading.Thread])
def test_a_store_made_by_many_at_once_is_one_store(url, make, kind):
    together(6, lambda index: make.record(Store.open(url), make.result()), kind)
    assert Store.open(url, create=False).counts()["runs"] == 1


def test_a_writer_that_is_killed_leaves_whole_populations(store, make, sql):
    """Kill -9 at any moment: of each population all is there or nothing, and the same sweep does the rest."""
    populations = [[make.request(lr=lr, gap=gap) for lr in (0.003, 0.01)] for gap in range(60)]

    def sweep() -> None:
        for requests in populations:
            if claim := store.claim(requests, owner=f"{socket.gethostname()}:{os.getpid()}:0"):
                store.beat({claim.attempt: 0.5})
                results = [make.result(request) for request in requests]
                store.record(claim.attempt, results, make.cards(requests[0]), ("quick@1", {}))

    moments = random.Random(7)
    for _ in range(3):
        before = store.counts()["runs"]
        process = multiprocessing.Process(target=sweep)
        process.start()
        while store.counts()["runs"] < before + 10:
            assert process.is_alive()
        time.sleep(moments.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL

        runs = store.counts()["runs"]
        assert runs % 2 == 0
        assert len(store.scores()) == len(store.learning(store.runs()["run"])) == 2 * runs
        attempts = store.attempts()
        assert set(attempts["outcome"]) <= {"finished", "killed"}
        assert (attempts["outcome"] == "finished").sum() == runs / 2
        if store.database.path:
            assert sql("PRAGMA integrity_check") == [("ok",)]
            assert sql("PRAGMA foreign_key_check") == []

    sweep()
    assert store.counts()["runs"] == 120
