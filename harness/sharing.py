"""Who trains what, where several drivers share a store: each run is claimed before it is trained."""

import time
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from harness.errors import UserError
from harness.executors import Job
from harness.store import RunRequest, Store
from harness.store.life import STALE_SECONDS, Heart, owner

LOOK_SECONDS = 1.0
"""How often a driver that waits looks whether others are done."""


class Share:
    """A driver's part of the work. While it lasts, its attempts beat; left early, they are interrupted.

    requests: the runs of a job, one for each member, in their order
    """

    def __init__(self, store: Store, requests: Callable[[Job], Sequence[RunRequest]]) -> None:
        self.store = store
        self.owner = owner()
        self.progress: dict[int, float] = {}
        """Of each attempt that goes on: so much, 0 to 1, is done."""
        self.mine: set[str] = set()
        """The keys that were claimed here."""
        self.requests = requests
        self._others: list[Job] = []
        """What others had when it was their turn here."""
        self._heart = Heart(self._beat)

    def __enter__(self) -> "Share":
        self._heart.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heart.__exit__()
        if kind is not None:
            with suppress(UserError):  # it may be the store that failed
                self.store.leave(self.owner)

    def _beat(self) -> None:
        for lost in self.store.beat(dict(self.progress)) if self.progress else ():
            self.progress.pop(lost, None)

    def claim(self, job: Job) -> tuple[int, Job] | None:
        """An attempt at the job, and its members that nobody else has or had; None where there are none.

        The members that others have are left for `others`.
        """
        claim = self.store.claim(self.requests(job), owner=self.owner)
        mine = claim.keys if claim else set()
        self._others += self._parts([job], mine, among=False)
        if claim is None:
            return None
        self.mine |= mine
        self.progress[claim.attempt] = 0.0
        (part,) = self._parts([job], mine)
        return claim.attempt, part

    def others(self, waiting: Callable[[Job, str], None]) -> list[Job]:
        """What others had and did not finish. Waits until there is some, or until all of it is finished.

        waiting: told once, if it waits, of the first job that it waits for, and why
        """
        told = False
        while True:
            done = self.store.finished(self._keys())
            left = self._parts(self._others, done, among=False)
            claimed = self.store.claimed(self._keys())
            self._others = self._parts(left, claimed)
            if free := self._parts(left, claimed, among=False):
                return free
            if not self._others:
                return []
            if not told:
                host, process, *_ = next(iter(claimed.values())).split(":")
                why = f"waiting until process {process} on {host} has trained it"
                waiting(self._others[0], f"{why}, or has been silent for {STALE_SECONDS:.0f} s")
                told = True
            time.sleep(LOOK_SECONDS)

    def _keys(self) -> list[str]:
        return [request.key for job in self._others for request in self.requests(job)]

    def _parts(self, jobs: Iterable[Job], keys: Container[str], *, among: bool = True) -> list[Job]:
        """The jobs with only those members whose keys are among these, or are not."""
        parts = []
        for job in jobs:
            pairs = zip(job.members, self.requests(job), strict=True)
            members = tuple(member for member, request in pairs if (request.key in keys) is among)
            if members:
                parts.append(replace(job, members=members, cost=job.cost * len(members) / len(job.members)))
        return parts
