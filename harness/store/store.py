"""The store of what was measured."""

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import sqlalchemy as sa

from harness.errors import UserError
from harness.store import plans as planning
from harness.store.database import Database
from harness.store.life import FAILURES, outcome_of
from harness.store.moving import add, recorded
from harness.store.plans import Plans
from harness.store.reading import NAMES, frame, reported, visible
from harness.store.recording import insert, record_runs, storable
from harness.store.records import AttemptOutcome, Card, Recorded, RunRequest, RunResult
from harness.store.schema import (
    ASKED,
    CAME_OUT,
    attempt_runs,
    attempts,
    cards,
    live,
    points,
    protocols,
    provenances,
    runs,
    scores,
)

if TYPE_CHECKING:
    import pandas as pd

_TRIAL = (
    *("repetition", "lr", "gap", "hidden_size", "outcome", "cell_parameters", "state_floats"),
    *("updates_to_solve", "seconds"),
)


class Claim(NamedTuple):
    """What an owner may train."""

    attempt: int
    keys: set[str]


class Store:
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

    Readers see the newest of every cell: for each name, runs of the source (and of the engine's numerics) of
    which a run was recorded last; who asks by key sees the runs of these keys. Frames have a column for
    everything, also when they are empty; whole numbers that may be missing are floats, NaN where they are.

    One process writes at a time; readers wait no longer than a commit takes. Where the connection to a server
    is lost, what was asked is tried again for a while. Methods raise UserError when the database cannot be
    used. Objects may be shared by threads and survive a fork.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

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

    def counts(self) -> dict[str, int]:
        """How much there is: runs, runs retracted, and attempts."""
        recorded = sa.select(sa.func.count(runs.c.id), sa.func.count(runs.c.retracted))
        attempted = sa.select(sa.func.count(attempts.c.id))

        def count(connection: sa.Connection) -> dict[str, int]:
            every, retracted = connection.execute(recorded).one()
            tried = connection.scalars(attempted).one()
            return {"runs": every - retracted, "retracted": retracted, "attempts": tried}

        return self.database.read(count)

    def runs(
        self,
        *,
        task: str | None = None,
        protocol: str | None = None,
        cells: Iterable[str] | None = None,
        keys: Iterable[str] | None = None,
        failed: bool = False,
    ) -> "pd.DataFrame":
        """A row per run, in the order they were recorded: what was asked, what came out, its provenance, and
        whether it is `reported`: taken over from a file, and not measured here.

        task, protocol, cells: canonical ids
        keys: exactly the runs of these keys, though a newer version of their cell may be there
        failed: only those that diverged or crashed
        """
        import pandas as pd

        chosen = visible(task, protocol, cells, self._of(keys))
        if failed:
            chosen = chosen.where(runs.c.outcome != "finished")
        columns = [*(runs.c[name] for name in (*ASKED, *CAME_OUT, "created", "provenance_id")), reported]
        query = chosen.add_columns(*columns).order_by(runs.c.id)
        found, provenance = self.database.read(lambda c: (frame(c, query), _provenances(c)))
        found["created"] = pd.to_datetime(found["created"], unit="s", utc=True)
        found["provenance"] = found.pop("provenance_id").map(provenance).astype(object)
        return found

    def scores(
        self,
        *,
        task: str | None = None,
        protocol: str | None = None,
        cells: Iterable[str] | None = None,
        keys: Iterable[str] | None = None,
    ) -> "pd.DataFrame":
        """A row per run, split and gap: what was asked (`trained_gap` is the run's), its outcome, the Score.

        task, protocol, cells, keys: as for `runs`
        """
        chosen = visible(task, protocol, cells, self._of(keys))
        columns = [runs.c[name].label("trained_gap" if name == "gap" else name) for name in ASKED]
        counted = (
            sa.select(scores.c.run_id.label("run"), *list(scores.c)[1:])
            .where(scores.c.run_id.in_(chosen.with_only_columns(runs.c.id)))
            .order_by(scores.c.run_id, scores.c.split, scores.c.gap)
        )
        asked = chosen.add_columns(*columns, runs.c.outcome).order_by(runs.c.id)
        of_runs, of_gaps = self.database.read(lambda c: (frame(c, asked), frame(c, counted)))
        return of_runs.merge(of_gaps, on="run")

    def trials(self, *, tasks: Sequence[str], protocol: str) -> "pd.DataFrame":
        """A row per run as a board sees it: cell, task, what was asked, what it took, on which device,
        whether it is `reported`; and `validation`, the mean accuracy over the trained gaps, chance
        if it failed.

        tasks, protocol: canonical ids
        """
        chosen = visible(tasks, protocol)
        right = sa.func.coalesce(scores.c.n_correct * sa.literal(1.0) / scores.c.n, scores.c.chance)
        means = (
            sa.select(scores.c.run_id, sa.func.avg(right, type_=sa.Double).label("validation"))
            .where(scores.c.split == "validation", sa.not_(scores.c.extrapolated))
            .where(scores.c.run_id.in_(chosen.with_only_columns(runs.c.id)))
            .group_by(scores.c.run_id)
        )
        names = [column for column in NAMES if column.name in ("cell", "task")]
        columns = [runs.c.id.label("run"), *names, *(runs.c[name] for name in (*_TRIAL, "provenance_id"))]
        query = chosen.with_only_columns(*columns, reported).order_by(runs.c.id)
        found, reached, provenance = self.database.read(
            lambda c: (frame(c, query), frame(c, means), _provenances(c))
        )
        device = {number: content.get("device") for number, content in provenance.items()}
        found["device"] = found.pop("provenance_id").map(device)
        found["validation"] = found["run"].map(reached.set_index("run_id")["validation"])
        return found

    def tested(self, run_ids: Iterable[int]) -> "pd.DataFrame":
        """What these runs reached on test, a row per gap: run, gap, and `reached`, the normalised accuracy:
        0 at chance, or if it failed, and 1 if perfect.
        """
        right = scores.c.n_correct * sa.literal(1.0) / scores.c.n
        reached = sa.func.coalesce((right - scores.c.chance) / (1 - scores.c.chance), 0.0).label("reached")
        query = sa.select(scores.c.run_id.label("run"), scores.c.gap, reached).where(
            scores.c.split == "test", self.database.among(scores.c.run_id, map(int, run_ids))
        )
        return self.database.read(lambda connection: frame(connection, query))

    def took(self, *, tasks: Sequence[str]) -> "pd.DataFrame":
        """What training took, a row for each kind of run and machine: cell, task, protocol, gap, hidden_size,
        device; here, whether it was this host; over all its runs updates made, those asked for, and seconds.

        tasks: canonical ids
        """
        kind = [*NAMES, runs.c.gap, runs.c.hidden_size, runs.c.provenance_id]
        sums = [sa.func.sum(runs.c[name]).label(name) for name in ("updates", "seconds")]
        query = visible(tasks).with_only_columns(*kind, sa.func.count().label("runs"), *sums).group_by(*kind)
        where = sa.select(provenances.c.id, provenances.c.content)
        rules = sa.select(protocols.c.protocol, protocols.c.content)
        found, places, asked = self.database.read(
            lambda connection: (
                frame(connection, query),
                {row.id: row.content for row in connection.execute(where)},
                {row.protocol: row.content["updates"] for row in connection.execute(rules)},
            )
        )
        at = found.pop("provenance_id")
        found["device"] = at.map({id: place.get("device") for id, place in places.items()})
        found["here"] = [places[id].get("host") == socket.gethostname() for id in at]
        found["asked"] = found.pop("runs") * found["protocol"].map(asked)
        return found

    def learning(self, run_ids: Iterable[int]) -> "pd.DataFrame":
        """The learning curves of these runs, a row per Point: run, update, loss, accuracy."""
        query = (
            sa.select(points.c.run_id.label("run"), *list(points.c)[1:])
            .where(self.database.among(points.c.run_id, map(int, run_ids)))
            .order_by(points.c.run_id, points.c["update"])
        )
        return self.database.read(lambda connection: frame(connection, query))

    def attempts(self) -> "pd.DataFrame":
        """A row per attempt, in the order they began, with its number of members.

        The outcome of one that lives is None, that of one whose owner is gone `killed`.
        """
        import pandas as pd

        members = sa.select(attempt_runs.c.attempt_id, sa.func.count().label("members"))
        counted = members.group_by(attempt_runs.c.attempt_id).subquery()
        query = (
            sa.select(attempts.c.id.label("attempt"), *list(attempts.c)[1:], counted.c.members)
            .join(counted)
            .order_by(attempts.c.id)
        )
        found, now = self.database.read(lambda c: (frame(c, query), self.database.now(c)))
        found["outcome"] = pd.Series([outcome_of(row, now) for row in found.itertuples()], dtype="object")
        for name in ("started", "heartbeat"):
            found[name] = pd.to_datetime(found[name], unit="s", utc=True)
        return found

    def card(self, kind: str, id: str) -> Card | None:
        """The newest card of a cell or task, by its canonical id."""
        query = (
            sa.select(cards)
            .where(cards.c.kind == kind, cards.c.card == id)
            .order_by(cards.c.id.desc())
            .limit(1)
        )
        row = self.database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        return Card(row.kind, row.card, row.version, row.name, row.docstring, row.source, row.options)

    def protocol(self, id: str) -> dict[str, Any] | None:
        """All that a protocol's id stands for, as it was recorded; None where there are no runs under it."""
        query = sa.select(protocols.c.content).where(protocols.c.protocol == id)
        content = self.database.read(lambda connection: connection.scalar(query))
        return None if content is None else dict(content)

    def entries(self) -> "pd.DataFrame":
        """The distinct combinations of cell, task, protocol and division of which there are runs."""
        kind = (runs.c[name] for name in ("cell_id", "task_id", "protocol_id", "division", "numerics"))
        one_of_each = sa.select(sa.func.max(runs.c.id)).where(live).group_by(*kind)
        columns = *NAMES, runs.c.division
        query = visible().where(runs.c.id.in_(one_of_each)).with_only_columns(*columns)
        query = query.order_by(*columns).distinct()
        return self.database.read(lambda connection: frame(connection, query))

    def _of(self, keys: Iterable[str] | None) -> sa.ColumnElement[bool] | None:
        return None if keys is None else self.database.among(runs.c.key, keys)

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


def _provenances(connection: sa.Connection) -> dict[int, dict[str, Any]]:
    query = sa.select(provenances.c.id, provenances.c.content)
    return {row.id: row.content for row in connection.execute(query)}
