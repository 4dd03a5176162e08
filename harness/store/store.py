"""The store of what was measured."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import sqlalchemy as sa

from harness.errors import UserError
from harness.store import plans as planning
from harness.store.database import Database
from harness.store.frames import Frames
from harness.store.life import FAILURES, outcome_of
from harness.store.moving import add, recorded
from harness.store.plans import Plans
from harness.store.recording import insert, record_runs, storable
from harness.store.records import AttemptOutcome, Card, Recorded, RunRequest, RunResult
from harness.store.schema import attempt_runs, attempts, live, runs


class Claim(NamedTuple):
    """What an owner may train."""

    attempt: int
    keys: set[str]


class Store(Frames):
    """What was measured, for ever.

    The unit is a *run*: one member, trained once. Its *key* is the hash of everything that determines it, and
    at most one run of a key counts; so the same request twice does the work once, and an interrupted sweep
    continues where it was. Runs are recorded with their scores, their learning curve and the end of their
    attempt in one transaction, so that a run is there whole or not at all, whatever happens to the process.
    Recording a key again changes nothing: the first one stays. A recorded run is immutable, and the database
    itself refuses to change or delete it. Only `retract` touches it: a retracted run is kept but hidden from
    every reader, and its key may be trained anew.

    A run's outcome is final: `finished`; `diverged` and `crashed`, whose scores count as chance. What did not
    come so far is an *attempt*, at a population of runs, that ended `timed-out`, `out-of-memory` or `killed`:
    it leaves no run, and may be tried again. (`interrupted` is the user's wish, and no failure.)

    Who wants to train claims the keys, and gets those that no run and no living attempt has: so several who
    share a store share the work. An attempt beats while it lives. It is dead, hence `killed`, when its owner
    is gone from this host, or when its heart stood still for two minutes. If the owner lives after all, its
    next beat tells it that others may have the keys; what it records is kept where it is first.

    One process writes at a time; readers wait no longer than a commit takes. Where the connection to a server
    is lost, what was asked is tried again for a while. Methods raise UserError when the database cannot be
    used. Objects may be shared by threads and survive a fork.
    """

    @classmethod
    def open(cls, url: str | None = None, *, create: bool = True, wait: float | None = None) -> "Store":
        """The store at a URL or path; None: at HARNESS_DB, else `results.db` in the current folder.

        create: make it where there is none
        wait: seconds, for another process that has it locked; as long as a writer would, if None
        Raises UserError where there is none otherwise, and where it is no store, cannot be reached, or is of
        another revision.
        """
        database = Database(url, wait=wait)
        if create and database.revision() is None:
            database.upgrade()
        database.check()
        return cls(database)

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys of which there is a run, whatever its outcome; a retracted one does not count."""
        query = self._finished(keys)
        return self.database.read(lambda connection: set(connection.scalars(query)))

    def failures(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """How past attempts at each key failed, oldest first; keys that never did are left out."""
        found: dict[str, list[str]] = {}
        for key, outcome, _ in self._outcomes(keys):
            if outcome in FAILURES:
                found.setdefault(key, []).append(outcome)
        return found

    def claimed(self, keys: Iterable[str]) -> dict[str, str]:
        """Those of the keys of which there is a living attempt, with its owner."""
        return {key: owner for key, outcome, owner in self._outcomes(keys) if outcome is None}

    def claim(self, requests: Sequence[RunRequest], *, owner: str) -> Claim | None:
        """Note that `owner`, of `life.owner`, attempts a population of runs; dead attempts at them end.

        The requests share cell, task, protocol and gap. What is finished, or attempted by another who lives,
        is not in the Claim; None: all of it is. An owner who claims again gets what it has.
        """
        first = requests[0]
        population = {"cell": first.cell, "task": first.task, "protocol": first.protocol, "gap": first.gap}
        keys = [request.key for request in requests]

        def claim(connection: sa.Connection) -> Claim | None:
            now = self.database.now(connection)
            taken = set(connection.scalars(self._finished(keys)))
            own: dict[int, set[str]] = {}
            for attempt in connection.execute(self._attempts_at(keys)).all():
                outcome = outcome_of(attempt, now)
                if outcome is None and attempt.owner == owner:
                    own.setdefault(attempt.id, set()).add(attempt.key)
                elif outcome is None:
                    taken.add(attempt.key)
                elif attempt.outcome is None:
                    _change(connection, attempt.id, outcome=outcome)
            if own:
                return Claim(*max(own.items()))
            free = [key for key in keys if key not in taken]
            if not free:
                return None
            begun = {"owner": owner, **population, "started": now, "heartbeat": now, "progress": 0.0}
            number = insert(connection, attempts, begun)
            connection.execute(attempt_runs.insert(), [{"key": key, "attempt_id": number} for key in free])
            return Claim(number, set(free))

        return self.database.write(claim)

    def beat(self, progress: Mapping[int, float]) -> set[int]:
        """The attempts of these numbers live, and so much of each, 0 to 1, is done.

        Returns those that had ended: their owner was thought dead, and others may have their keys.
        """

        def beat(connection: sa.Connection) -> set[int]:
            now = self.database.now(connection)
            return {
                number
                for number, share in progress.items()
                if not _change(connection, number, progress=share, heartbeat=now)
            }

        return self.database.write(beat)

    def end(self, attempt: int, outcome: str, reason: str | None = None) -> None:
        """The attempt ended without a run to record, unless it had ended. `outcome`: an AttemptOutcome.

        Raises ValueError where there is no such outcome or attempt.
        """
        if outcome not in get_args(AttemptOutcome):
            raise ValueError(f"{outcome!r} is not one of {get_args(AttemptOutcome)}")
        why = None if reason is None else storable(reason)
        self.database.write(
            lambda connection: _change(
                connection, attempt, outcome=outcome, reason=why, heartbeat=self.database.now(connection)
            )
        )

    def leave(self, owner: str) -> None:
        """All living attempts of this owner are `interrupted`."""
        living = attempts.c.owner == owner, attempts.c.outcome.is_(None)
        self.database.write(
            lambda connection: connection.execute(
                attempts.update().where(*living).values(outcome="interrupted")
            )
        )

    def record(
        self,
        attempt: int,
        results: Sequence[RunResult],
        cards: Sequence[Card],
        protocol: tuple[str, Mapping[str, Any]],
    ) -> None:
        """Record runs together with the end of their attempt. Runs that are there already stay as they are.

        An attempt that was thought dead has finished if one of the runs is new.

        cards: of each cell and each task of the results
        protocol: its id, and all that the id stands for, as plain data
        Raises ValueError where a result's card or protocol is not given, or there is no such attempt.
        """
        given = {(c.id, c.version, c.name) if c.kind == "cell" else c.id: c for c in cards}
        records = []
        for result in results:
            r = result.request
            try:
                cell, task = given[r.cell, r.cell_version, r.cell_name], given[r.task]
            except KeyError as error:
                raise ValueError(f"no card is given of {error}") from None
            if r.protocol != protocol[0]:
                raise ValueError(f"a run under {r.protocol} cannot be recorded under {protocol[0]}")
            records.append(Recorded(result, cell, task, protocol[1], 0.0))

        def record(connection: sa.Connection) -> None:
            now = self.database.now(connection)
            ended = {"outcome": "finished", "progress": 1.0, "heartbeat": now}
            alive = _change(connection, attempt, **ended)
            new = record_runs(connection, attempt, [told._replace(created=now) for told in records])
            if new and not alive:
                connection.execute(attempts.update().where(attempts.c.id == attempt).values(ended))

        self.database.write(record)

    def plan(self, name: str, owner: str, costs: Mapping[str, float]) -> int:
        """Note that `owner` sets out to train the runs of these keys; the same keys are the same plan.

        costs: what each is expected to take, in any unit
        Returns the plan's number. Plans of which nothing is left are forgotten.
        """
        return self.database.write(
            lambda connection: planning.begin(connection, name, owner, costs, self.database.now(connection))
        )

    def leave_plan(self, owner: str) -> None:
        """Who set out to train a plan goes on no longer, whatever is left of it."""
        self.database.write(lambda connection: planning.end(connection, owner, self.database.now(connection)))

    def plans(self) -> Plans:
        """How far every plan is that is not forgotten."""
        return self.database.read(
            lambda connection: planning.standing(connection, self.database.now(connection))
        )

    def everything(self) -> list[Recorded]:
        """All runs that count, older versions of a cell too, in the order of their cell, task, protocol, …"""
        return self.database.read(lambda connection: list(recorded(connection)))

    def add(self, records: Sequence[Recorded]) -> int:
        """Take over runs of another store, all or none; how many. A run whose key is here stays as it is.

        They are *reported*, as against measured here. Those of a population make one attempt, which ended
        when the last of them was recorded.
        """
        return self.database.write(lambda connection: add(connection, records))

    def retract(self, run: int, reason: str) -> None:
        """Hide a run from every reader without deleting it. Raises UserError when there is none to hide."""
        hidden = {"retracted": time.time(), "retraction": storable(reason)}
        which, same = runs.c.id == run, runs.c.retracted == hidden["retracted"]

        def retract(connection: sa.Connection) -> bool:
            found = connection.execute(runs.update().where(which, live).values(hidden)).rowcount
            return bool(found) or connection.scalar(sa.select(runs.c.id).where(which, same)) is not None

        if not self.database.write(retract):
            raise UserError(f"there is no run {run} in {self.database.name}, or it is retracted already")

    def _finished(self, keys: Iterable[str]) -> sa.Select[Any]:
        return sa.select(runs.c.key).where(live, self.database.among(runs.c.key, keys))

    def _attempts_at(self, keys: Iterable[str]) -> sa.Select[Any]:
        among = self.database.among(attempt_runs.c.key, keys)
        return sa.select(attempt_runs.c.key, attempts).join(attempts).where(among).order_by(attempts.c.id)

    def _outcomes(self, keys: Iterable[str]) -> list[tuple[str, str | None, str]]:
        """Key, outcome and owner of every attempt at these, oldest first."""
        query = self._attempts_at(keys)
        found, now = self.database.read(lambda c: (c.execute(query).all(), self.database.now(c)))
        return [(attempt.key, outcome_of(attempt, now), attempt.owner) for attempt in found]


def _change(connection: sa.Connection, attempt: int, **values: Any) -> bool:
    """Change an attempt that has not ended; whether it had not. Raises ValueError where there is none."""
    which = attempts.c.id == attempt
    if connection.execute(
        attempts.update().where(which, attempts.c.outcome.is_(None)).values(values)
    ).rowcount:
        return True
    if connection.scalar(sa.select(attempts.c.id).where(which)) is None:
        raise ValueError(f"there is no attempt {attempt}")
    return False
