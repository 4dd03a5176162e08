"""The store of what was measured."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import sqlalchemy as sa

from harness.errors import UserError
from harness.store.database import Database
from harness.store.life import FAILURES, outcome_of
from harness.store.moving import Recorded, add, recorded
from harness.store.reading import NAMES, frame, reported, visible
from harness.store.recording import insert, record_run
from harness.store.records import AttemptOutcome, Card, RunRequest, RunResult
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
    it leaves no run, and may be tried again. (`interrupted` is the user's wish, and no failure.) An attempt
    beats while it lives. It is dead, hence `killed`, when its owner's process is gone from this host, or when
    its heart stood still for two minutes. Should its owner live after all and record, then it has finished.

    Readers see the newest of every cell: for each name, runs of the source (and of the engine's numerics) of
    which a run was recorded last; who asks by key sees the runs of these keys. Frames have a column for
    everything, also when they are empty; whole numbers that may be missing are floats, NaN where they are.

    One process writes at a time, readers never wait. Methods raise UserError when the database cannot be
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
        query = sa.select(runs.c.key).where(live, self.database.among(runs.c.key, keys))
        with self.database.transaction() as connection:
            return set(connection.scalars(query))

    def failures(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """How past attempts at each key failed, oldest first; keys that never did are left out."""
        found: dict[str, list[str]] = {}
        with self.database.transaction() as connection:
            for attempt in connection.execute(self._attempts_at(keys)):
                outcome = outcome_of(attempt)
                if outcome in FAILURES:
                    found.setdefault(attempt.key, []).append(outcome)
        return found

    def begin(self, requests: Sequence[RunRequest], *, owner: str) -> int:
        """Note that `owner`, "host:pid:start", attempts a population of runs; dead attempts at them end.

        The requests share cell, task, protocol and gap. Returns the attempt's number.
        """
        first, now = requests[0], time.time()
        population = {"cell": first.cell, "task": first.task, "protocol": first.protocol, "gap": first.gap}
        begun = {"owner": owner, **population, "started": now, "heartbeat": now, "progress": 0.0}
        keys = [request.key for request in requests]
        with self.database.transaction(write=True) as connection:
            for attempt in connection.execute(self._attempts_at(keys)).all():
                if attempt.outcome is None and outcome_of(attempt) is not None:
                    _change(connection, attempt.id, outcome=outcome_of(attempt))
            number = insert(connection, attempts, begun)
            connection.execute(attempt_runs.insert(), [{"key": key, "attempt_id": number} for key in keys])
        return number

    def beat(self, attempt: int, progress: float) -> None:
        """The attempt lives, and `progress` of it, 0 to 1, is done."""
        with self.database.transaction(write=True) as connection:
            _change(connection, attempt, progress=progress, heartbeat=time.time())

    def end(self, attempt: int, outcome: str, reason: str | None = None) -> None:
        """The attempt ended without a run to record. `outcome`: an AttemptOutcome, else ValueError."""
        if outcome not in get_args(AttemptOutcome):
            raise ValueError(f"{outcome!r} is not one of {get_args(AttemptOutcome)}")
        with self.database.transaction(write=True) as connection:
            _change(connection, attempt, outcome=outcome, reason=reason, heartbeat=time.time())

    def record(
        self,
        attempt: int,
        results: Sequence[RunResult],
        cards: Sequence[Card],
        protocol: tuple[str, Mapping[str, Any]],
    ) -> None:
        """Record runs together with the end of their attempt. Runs that are there already stay as they are.

        cards: of each cell and each task of the results
        protocol: its id, and all that the id stands for, as plain data
        Raises ValueError where a result's card or protocol is not given, or there is no such attempt.
        """
        given = {(c.id, c.version, c.name) if c.kind == "cell" else c.id: c for c in cards}
        with self.database.transaction(write=True) as connection:
            _change(connection, attempt, outcome="finished", progress=1.0, heartbeat=time.time())
            for result in results:
                r = result.request
                try:
                    cell, task = given[r.cell, r.cell_version, r.cell_name], given[r.task]
                except KeyError as error:
                    raise ValueError(f"no card is given of {error}") from None
                if r.protocol != protocol[0]:
                    raise ValueError(f"a run under {r.protocol} cannot be recorded under {protocol[0]}")
                record_run(connection, attempt, result, cell, task, protocol[1])

    def everything(self) -> Iterator[Recorded]:
        """All runs that count, older versions of a cell too, in the order of their cell, task, protocol, …"""
        with self.database.transaction() as connection:
            yield from recorded(connection)

    def add(self, records: Sequence[Recorded]) -> int:
        """Take over runs of another store, all or none; how many. A run whose key is here stays as it is.

        They are *reported*, as against measured here. Those of a population make one attempt, which ended
        when the last of them was recorded.
        """
        with self.database.transaction(write=True) as connection:
            return add(connection, records)

    def retract(self, run: int, reason: str) -> None:
        """Hide a run from every reader without deleting it. Raises UserError when there is none to hide."""
        hidden = {"retracted": time.time(), "retraction": reason}
        with self.database.transaction(write=True) as connection:
            if connection.execute(runs.update().where(runs.c.id == run, live).values(hidden)).rowcount != 1:
                raise UserError(f"there is no run {run} in {self.database.name}, or it is retracted already")

    def counts(self) -> dict[str, int]:
        """How much there is: runs, runs retracted, and attempts."""
        live, attempted = sa.func.count(runs.c.retracted), sa.select(sa.func.count(attempts.c.id))
        with self.database.transaction() as connection:
            every, retracted = connection.execute(sa.select(sa.func.count(runs.c.id), live)).one()
            return {
                "runs": every - retracted,
                "retracted": retracted,
                "attempts": connection.scalars(attempted).one(),
            }

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
        contents = sa.select(provenances.c.id, provenances.c.content)
        with self.database.transaction() as connection:
            found = frame(connection, chosen.add_columns(*columns).order_by(runs.c.id))
            provenance = {row.id: row.content for row in connection.execute(contents)}
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
        with self.database.transaction() as connection:
            asked = frame(connection, chosen.add_columns(*columns, runs.c.outcome).order_by(runs.c.id))
            return asked.merge(frame(connection, counted), on="run")

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
        columns.append(reported)
        contents = sa.select(provenances.c.id, provenances.c.content)
        with self.database.transaction() as connection:
            found = frame(connection, chosen.with_only_columns(*columns).order_by(runs.c.id))
            reached = frame(connection, means)
            device = {row.id: row.content.get("device") for row in connection.execute(contents)}
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
        with self.database.transaction() as connection:
            return frame(connection, query)

    def learning(self, run_ids: Iterable[int]) -> "pd.DataFrame":
        """The learning curves of these runs, a row per Point: run, update, loss, accuracy."""
        query = (
            sa.select(points.c.run_id.label("run"), *list(points.c)[1:])
            .where(self.database.among(points.c.run_id, map(int, run_ids)))
            .order_by(points.c.run_id, points.c["update"])
        )
        with self.database.transaction() as connection:
            return frame(connection, query)

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
        with self.database.transaction() as connection:
            found = frame(connection, query)
        found["outcome"] = pd.Series([outcome_of(row) for row in found.itertuples()], dtype="object")
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
        with self.database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Card(row.kind, row.card, row.version, row.name, row.docstring, row.source, row.options)

    def protocol(self, id: str) -> dict[str, Any] | None:
        """All that a protocol's id stands for, as it was recorded; None where there are no runs under it."""
        with self.database.transaction() as connection:
            content = connection.scalar(sa.select(protocols.c.content).where(protocols.c.protocol == id))
        return None if content is None else dict(content)

    def entries(self) -> "pd.DataFrame":
        """The distinct combinations of cell, task, protocol and division of which there are runs."""
        query = visible().add_columns(runs.c.division).order_by(*NAMES, runs.c.division)
        with self.database.transaction() as connection:
            return frame(connection, query.with_only_columns(*NAMES, runs.c.division).distinct())

    def _of(self, keys: Iterable[str] | None) -> sa.ColumnElement[bool] | None:
        return None if keys is None else self.database.among(runs.c.key, keys)

    def _attempts_at(self, keys: Iterable[str]) -> sa.Select[Any]:
        among = self.database.among(attempt_runs.c.key, keys)
        return sa.select(attempt_runs.c.key, attempts).join(attempts).where(among).order_by(attempts.c.id)


def _change(connection: sa.Connection, attempt: int, **values: Any) -> None:
    if connection.execute(attempts.update().where(attempts.c.id == attempt).values(values)).rowcount != 1:
        raise ValueError(f"there is no attempt {attempt}")
