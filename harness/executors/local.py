"""Worker processes on this machine: as many as it has cores, each with its share of them; one for a GPU."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from harness.executors.job import Failed, Job, Outcome
from harness.registry import ROOT

_MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=2147483647"
"""Has glibc keep what is freed, in huge pages: giving pages back, to fault them in again at once, is slow."""

ENOUGH = 3 << 29
"""Bytes to keep of a pass for its way back: keeping more is hardly quicker than computing it again."""

_START = f"import sys; sys.path.append({str(ROOT)!r}); from harness.executors.worker import main; main()"


def environment(threads: int) -> dict[str, str]:
    """The environment variables of a process that trains with so many threads."""
    own = os.environ.get("GLIBC_TUNABLES")
    return {"OMP_NUM_THREADS": str(threads), "GLIBC_TUNABLES": f"{_MALLOC}:{own}" if own else _MALLOC}


class _Worker:
    """A process and the connection to it. It imports torch while the driver goes on."""

    def __init__(self, threads: int, settings: dict[str, Any]) -> None:
        self.connection, theirs = Pipe()
        fd = theirs.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(fd)],
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,  # what a cell prints is no result
            env={**os.environ, **environment(threads)},
        )
        theirs.close()
        self.connection.send((threads, settings))
        self.job: int | None = None

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()


def divide(jobs: Sequence[Job], workers: int) -> list[Job]:
    """The jobs, most expensive first, split by their members until every worker has one."""
    jobs = list(jobs)
    while jobs and len(jobs) < workers:
        jobs.sort(key=lambda job: (len(job.members) > 1, job.cost), reverse=True)
        members = jobs[0].members
        if len(members) == 1:
            break
        half, cost = (len(members) + 1) // 2, jobs[0].cost / len(members)
        parts = [members[:half], members[half:]]
        jobs[:1] = [replace(jobs[0], members=part, cost=cost * len(part)) for part in parts]
    return sorted(jobs, key=lambda job: job.cost, reverse=True)


class Pool:
    """The workers of a request. They may be started before it is known what they will do.

    memory: bytes for all workers together; if None, half of what is free, and no more than ENOUGH
    """

    def __init__(self, engine: str, memory: int | None) -> None:
        self.engine = engine
        self.memory = memory or min(_free_memory() // 2, ENOUGH)
        self.device = ""
        self.size = 0
        self.workers: list[_Worker] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def _stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers = []

    def start(self, device: str) -> None:
        """Have workers for this device: one for each core, or one for a GPU."""
        if device == self.device:
            return
        self._stop()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.device, self.size = device, cores if device == "cpu" else 1
        self.workers = [self._worker() for _ in range(self.size)]

    def _worker(self) -> _Worker:
        settings = {"device": self.device, "engine": self.engine, "memory": self.memory // self.size}
        return _Worker(1 if self.device == "cpu" else max(1, (os.cpu_count() or 1) // self.size), settings)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, str, Any]]:
        """Run the jobs, in their order; yields (number of the job, kind, content) as it comes.

        kind: `begin`, `progress` (a Progress), `note` (a line) or `outcome` (an Outcome)
        A worker that dies takes its own job with it, and no other.
        """
        left = list(enumerate(jobs))
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]
        while left or self._busy():
            while len(self.workers) < min(self.size, len(self._busy()) + len(left)):
                self.workers.append(self._worker())
            for worker in self.workers:
                if worker.job is None and left:
                    worker.job, job = left.pop(0)
                    alike = [j for _, j in left if (j.cell, len(j.members)) == (job.cell, len(job.members))]
                    ahead = sum(j.cost / len(j.members) for j in alike) / len(self.workers)
                    worker.connection.send((job, int(ahead)))
                    yield worker.job, "begin", None
            busy = {worker.connection: worker for worker in self._busy()}
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker = busy[connection]
                assert worker.job is not None
                number = worker.job
                kind, content = self._receive(worker)
                if kind == "outcome":
                    worker.job = None
                yield number, kind, content

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.job is not None]

    def _receive(self, worker: _Worker) -> tuple[str, Any]:
        try:
            kind, content = worker.connection.recv()
            return kind, content
        except (EOFError, ConnectionResetError):
            code = worker.process.wait()
            self.workers.remove(worker)
            reason = (
                f"the worker was ended by signal {-code}"
                if code < 0
                else f"the worker exited with code {code}"
            )
            outcome: Outcome = Failed("killed", reason, 0, 0.0, {})
            return "outcome", outcome


def _free_memory() -> int:
    """Bytes of memory that are free on this machine."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
