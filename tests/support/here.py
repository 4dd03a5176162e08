"""A pool in this process, which trains or makes it up: the runner as it is, quickly."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.engine import Count, Progress, Trained
from harness.engine.population import Check
from harness.executors import Done, Failed, Job, Trial
from harness.executors.local import find_device
from harness.executors.worker import Tell, work
from harness.protocol import Protocol
from harness.registry import find_task


class Here:
    """In place of `harness.runner.find_executor`, and of what it finds.

    jobs: all that were run, in order
    real: whether they are trained
    fate: by number of the job within its request: the Failed that comes out of it, or what is raised
    trials: by the name of a cell's file: how it fails to be built
    """

    size, device = 1, "cpu"

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.real = False
        self.devices: list[str] = []
        self.fate: dict[int, Failed | BaseException] = {}
        self.trials: dict[str, Failed] = {}
        self.given: tuple[Any, ...] = ()

    def __call__(self, *given: Any) -> "Here":
        self.given = given
        return self

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def start(self, device: str, most: int) -> None:
        find_device(device)
        self.devices.append(device)
        self.most = most

    def run(
        self, jobs: Sequence[Job | Trial], claim: Callable[[int], Job | None] | None = None
    ) -> Iterator[tuple[int, str, Any]]:
        settings = {"device": "cpu", "engine": "eager", "memory": 1 << 28, "steps_ahead": 0}
        for number, planned in enumerate(jobs):
            if (job := claim(number) if claim else planned) is None:
                continue
            yield number, "begin", None
            if isinstance(job, Trial):
                yield number, "outcome", self.trials.get(Path(job.cell).stem, Done([], {}))
                continue
            fate = self.fate.get(number)
            if isinstance(fate, BaseException):
                raise fate
            self.jobs.append(job)
            sent: list[tuple[str, Any]] = []
            tell: Tell = lambda kind, content: sent.append((kind, content))  # noqa: B023, E731
            outcome = fate or (work(job, settings, tell) if self.real else _made_up(job, tell))
            for kind, content in sent:
                yield number, kind, content
            yield number, "outcome", outcome

    @property
    def members(self) -> list[tuple[int | None, int, float]]:
        """Gap, repetition and learning rate of every member trained, sorted."""
        return sorted((job.gap, *member) for job in self.jobs for member in job.members)


def _made_up(job: Job, tell: Tell) -> Done:
    """Members as if they had been trained: no two of them are as good."""
    task, protocol = find_task(job.task), Protocol(**job.protocol)
    gaps = protocol.evaluated(task.min_gap) if job.gap is None else (job.gap,)
    updates, trained = protocol.updates, []
    for repetition, lr in job.members:
        share = (1 + 1 / (2 + repetition) + lr) / 3
        asked = {gap: protocol.rows * len(task.batch("test", 0, gap, 0, 1).queries) for gap in gaps}
        counts = {
            (split, gap): Count(n, round(n * share))
            for split in ("validation", "test")
            for gap, n in asked.items()
        }
        trained.append(
            Trained(updates=updates, seconds=0.5, counts=counts, checks=[Check(updates, 0.5, share)])
        )
    tell("progress", Progress(updates, updates, len(trained), len(trained), 0.5, 0.5))
    return Done(trained, {"engine": "made up"})
