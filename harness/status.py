"""How far plans are: how many of their runs are done, failed, train or are left, and when they will end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness.forecast import duration
from harness.store import Store
from harness.store.life import FAILURES

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Plans

_SHARE = 0.005
"""What has to be made of a plan, since it was started, before it is said how long the rest will take."""


@dataclass(frozen=True)
class Standing:
    """How far a plan is."""

    name: str
    """A sweep's file, or what `harness run` was asked."""
    runs: int
    done: int
    """Of the runs, those whose outcome is final."""
    failed: int
    """Of those done, the ones that diverged or crashed."""
    running: int
    owner: str | None = None
    """Host and process of who began it, "host:pid"."""
    started: float | None = None
    """When, in seconds since 1970."""
    alive: bool = False
    """Whether somebody is at it."""
    seconds_left: float | None = None
    """None: nothing trains, or nothing of it has been measured yet."""

    @property
    def left(self) -> int:
        """Runs that neither are done nor train."""
        return self.runs - self.done - self.running

    def words(self) -> str:
        """All of it as a sentence.

        >>> print(Standing("sweep.toml", 2784, 1204, 3, 16, alive=True).words())
        1,204 of 2,784 runs are done (3 failed), 16 train now, 1,564 are left; when it ends is not known yet
        >>> print(Standing("sweep.toml", 36, 36, 0, 0).words())
        36 of 36 runs are done
        """
        parts = [
            f"{self.done:,} of {self.runs:,} runs are done"
            + (f" ({self.failed:,} failed)" * (self.failed > 0))
        ]
        if self.running:
            parts.append(f"{self.running:,} train now")
        if self.left:
            parts.append(f"{self.left:,} are left")
        return ", ".join(parts) + self._end()

    def _end(self) -> str:
        if self.done == self.runs:
            return ""
        if not self.alive:
            return "; nobody is at it: the same `harness sweep` or `harness run` goes on"
        if self.seconds_left is None:
            return "; when it ends is not known yet"
        return f"; about {duration(self.seconds_left)} more, until {clock(self.seconds_left)}"


def plans(store: Store) -> list[Standing]:
    """Every plan of the store that somebody is at, and the one begun last if something of it is left."""
    found = store.plans()
    rows = list(found.plans.itertuples())
    return [_standing(row, found) for row in rows if row.alive or (row is rows[-1] and row.done < row.runs)]


def of_keys(store: Store, name: str, keys: Iterable[str]) -> Standing:
    """How far the runs of these keys are, whether or not they were ever begun as a plan."""
    from harness.store.plans import plan_digest

    keys = list(keys)
    found = store.plans()
    for row in found.plans[found.plans["digest"] == plan_digest(keys)].itertuples():
        return _standing(row, found)
    made = store.runs(keys=keys)["outcome"]
    return Standing(name, len(keys), len(made), int((made != "finished").sum()), len(store.claimed(keys)))


def _standing(plan: Any, found: "Plans") -> Standing:
    return Standing(
        name=plan.name,
        runs=plan.runs,
        done=plan.done,
        failed=plan.failed,
        running=plan.running,
        owner=_process(plan.owner),
        started=plan.started,
        alive=plan.alive,
        seconds_left=_seconds_left(plan, found.running[found.running["plan"] == plan.plan], found.now),
    )


def _seconds_left(plan: Any, running: "pd.DataFrame", now: float) -> float | None:
    """By the pace since the plan was started; but no sooner than what trains now is done at its own."""
    begun = (running["progress"] * running["cost"]).sum()
    made = plan.made + begun
    if running.empty or made == 0 or made < _SHARE * (made + plan.left):
        return None
    own = [seconds_left(row.progress, now - row.started) or 0.0 for row in running.itertuples()]
    return float(max((plan.left - begun) / made * (now - plan.started), *own))


def seconds_left(progress: float, passed: float) -> float | None:
    """What something takes that has come so far in so many seconds; None: too early to tell."""
    return passed / progress * (1 - progress) if progress > 0.02 else None


def running(attempts: "pd.DataFrame") -> list[dict[str, Any]]:
    """Of a store's attempts those that live, as plain data: what trains, how far it is, and where."""
    now = datetime.now(UTC)
    return [
        {
            "kind": "running",
            **_population(row),
            "members": row.members,
            "progress": row.progress,
            "seconds": (seconds := (now - row.started).total_seconds()),
            "seconds_left": seconds_left(row.progress, seconds),
            "owner": _process(row.owner),
            "heard_of": (now - row.heartbeat).total_seconds(),
        }
        for row in attempts[attempts["outcome"].isna()].itertuples()
    ]


def failures(attempts: "pd.DataFrame", runs: "pd.DataFrame") -> list[dict[str, Any]]:
    """What failed, as plain data: runs that diverged or crashed, which is final, and attempts of which
    something is left, where they were the last at their population.
    """
    left = attempts[attempts["left"] > 0]
    last = left.drop_duplicates(["cell", "task", "protocol", "gap"], keep="last")
    final = [
        {"kind": "run", **_population(row), "outcome": row.outcome, "reason": row.reason}
        | {"lr": row.lr, "repetition": row.repetition, "update": int(row.outcome_update)}
        for row in runs.itertuples()
    ]
    return final + [
        {"kind": "attempt", **_population(row), "outcome": row.outcome, "reason": row.reason}
        | {"members": row.members, "owner": _process(row.owner)}
        for row in last[last["outcome"].isin(FAILURES)].itertuples()
    ]


def _population(row: Any) -> dict[str, Any]:
    gap = None if row.gap != row.gap else int(row.gap)
    return {"cell": row.cell, "task": row.task, "protocol": row.protocol, "gap": gap}


def _process(owner: str) -> str:
    """Host and process of an owner."""
    return ":".join(owner.split(":")[:2])


def clock(seconds: float) -> str:
    """The time of day in so many seconds, with its date where that is not today."""
    now = datetime.now().astimezone()
    at = now + timedelta(seconds=seconds)
    return at.strftime("%H:%M %Z" if at.date() == now.date() else "%a %d %b %H:%M %Z")
