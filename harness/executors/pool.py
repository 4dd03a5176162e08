"""What an executor is, and how jobs are handed out to workers, wherever these are."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, Self, TypeVar

from harness.executors.job import Failed, Job, Trial
from harness.executors.process import Message

TRIAL_SECONDS = 60.0
"""What loading and building a cell may take: a fraction of a second does."""

Claim = Callable[[int], Job | None]


class Executor(Protocol):
    """Where populations train. It is a context: once it is left, nothing of it runs any more."""

    @property
    def size(self) -> int:
        """How many populations train at once."""
        ...

    @property
    def device(self) -> str:
        """What they train on: `cpu`, `cuda` or `cuda:n`."""
        ...

    def __enter__(self) -> "Executor": ...

    def __exit__(self, *exception: object) -> None: ...

    def start(self, device: str, most: int) -> None:
        """Begin to start workers, though it is not known yet what they will do.

        device: as a user writes it: `auto`, `cpu`, `cuda` or `cuda:n`
        most: the number of members that there can be: more workers are of no use
        Raises UserError where there is no such device.
        """
        ...

    def run(
        self,
        jobs: Sequence[Job | Trial],
        claim: Claim | None = None,
    ) -> Iterator[tuple[int, str, Any]]:
        """Run the jobs, in their order; yields (number of the job, kind, content) as it comes.

        claim: asked, once there is a worker for the job of this number, what of it to do; None: nothing
        kind: `begin`, `progress` (a Progress), `note` (a line) or `outcome` (an Outcome)
        What becomes of a worker happens to its own job, and to no other.
        """
        ...


class Seat(Protocol):
    """A place where a worker works, of a Pool."""

    job: int | None
    """The number of what is done there."""

    def give(self, job: Job | Trial, steps_ahead: int, timeout: float | None) -> None:
        """Have the job done, for so many seconds at most."""
        ...

    def alive(self) -> bool:
        """Whether it can have a job, now or later."""
        ...

    def stop(self) -> None:
        """End it at once."""
        ...


S = TypeVar("S", bound=Seat)


class Pool(ABC, Generic[S]):
    """Workers, whatever they are: each has one job at a time, and one that dies is replaced.

    timeout: seconds that a population may take
    """

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = timeout
        self.size, self.device = 0, ""
        self.workers: list[S] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def _stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers = []

    def _fill(self, size: int) -> None:
        while len(self.workers) < size:
            self.workers.append(self._open())

    @abstractmethod
    def _open(self) -> S:
        """A new worker, which may not be ready yet."""

    @abstractmethod
    def _ready(self) -> list[S]:
        """Those of the workers that can begin at once."""

    @abstractmethod
    def _receive(self, busy: Sequence[S]) -> list[tuple[S, Message]]:
        """What those at work have to say, once there is something or after a while."""

    def run(
        self,
        jobs: Sequence[Job | Trial],
        claim: Claim | None = None,
    ) -> Iterator[tuple[int, str, Any]]:
        """Run the jobs: see Executor."""
        left = list(enumerate(jobs))
        while left or self._busy():
            for worker in [w for w in self.workers if w.job is None and not w.alive()]:
                self.workers.remove(worker)
                worker.stop()
            self._fill(min(self.size, len(self._busy()) + len(left)))
            for worker in self._ready() if left else []:
                while worker.job is None and left:
                    number, planned = left.pop(0)
                    job = claim(number) if claim else planned
                    if job is not None:
                        worker.job = number
                        worker.give(job, _steps_ahead(job, left, len(self.workers)), self._seconds(job))
                        yield number, "begin", None
            for worker, message in self._receive(self._busy()) if left or self._busy() else []:
                assert worker.job is not None
                number, content = worker.job, pickle.loads(message.content)
                if message.kind == "outcome":
                    worker.job = None
                if isinstance(content, Failed):
                    content = content._replace(output=message.output)
                yield number, message.kind, content

    def _seconds(self, job: Job | Trial) -> float | None:
        """What it may take, once its worker has it."""
        if isinstance(job, Trial):
            return min(TRIAL_SECONDS, self.timeout or TRIAL_SECONDS)
        return self.timeout

    def _busy(self) -> list[S]:
        return [worker for worker in self.workers if worker.job is not None]


def _steps_ahead(job: Job | Trial, left: Sequence[tuple[int, Job | Trial]], workers: int) -> int:
    """Steps of jobs to come that the same worker will do, on average, with what it compiles for this one."""
    if isinstance(job, Trial):
        return 0
    alike = [
        j for _, j in left if isinstance(j, Job) and (j.cell, len(j.members)) == (job.cell, len(job.members))
    ]
    return int(sum(j.cost / len(j.members) for j in alike) / workers)


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
