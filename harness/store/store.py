"""The store of what was measured."""

import json
import math
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import sqlalchemy as sa

from harness.errors import UserError
from harness.store.database import Database
from harness.store.records import AttemptOutcome, Card, RunRequest, RunResult, canonical, digest
from harness.store.schema import attempt_runs, attempts, cards, points, protocols, provenances, runs, scores

if TYPE_CHECKING:
    import pandas as pd

_REQUEST = ("division", "repetition", "lr", "gap", "hidden_size", "dtype", "numerics")
_RESULT = (
    "outcome",
    "outcome_update",
    "reason",
    "cell_parameters",
    "state_floats",
    "updates",
    "updates_to_solve",
    "gap_auc",
    "seconds",
)
STALE_SECONDS = 120.0
"""An attempt that has not beaten for so long is dead."""
FAILURES = ("timed-out", "out-of-memory", "killed")

_cell, _task = cards.alias("cell"), cards.alias("task")
_live = runs.c.retracted.is_(None)


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
    which a run was recorded last. Frames have a column for everything, also when they are empty; whole
    numbers that may be missing are floats, NaN where they are.

    One process writes at a time, readers never wait. Methods raise UserError when the database cannot be
    used. Objects may be shared by threads and survive a fork.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str | None = None, *, create: bool = True) -> "Store":
        """The store at a URL or path; None: at HARNESS_DB, else `results.db` in the current folder.

        create: make it where there is none. Raises UserError where there is none otherwise, and where it is
        no store, cannot be reached, or is of another revision.
        """
        database = Database(url)
        if create and database.revision() is None:
            database.upgrade()
        database.check()
        return cls(database)

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys of which there is a run, whatever its outcome; a retracted one does not count."""
        query = sa.select(runs.c.key).where(_live, self.database.among(runs.c.key, keys))
        with self.database.transaction() as connection:
            return set(connection.scalars(query))

    def failures(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """How past attempts at each key failed, oldest first; keys that never did are left out."""
        found: dict[str, list[str]] = {}
        with self.database.transaction() as connection:
            for attempt in connection.execute(self._attempts_at(keys)):
                outcome = _outcome(attempt)
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
                if attempt.outcome is None and _outcome(attempt) is not None:
                    _change(connection, attempt.id, outcome=_outcome(attempt))
            number = _insert(connection, attempts, begun)
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
            for result in results:
                r = result.request
                try:
                    cell, task = given[r.cell, r.cell_version, r.cell_name], given[r.task]
                except KeyError as error:
                    raise ValueError(f"no card is given of {error}") from None
                if r.protocol != protocol[0]:
                    raise ValueError(f"a run under {r.protocol} cannot be recorded under {protocol[0]}")
                _record(connection, attempt, result, cell, task, protocol[1])
            _change(connection, attempt, outcome="finished", progress=1.0, heartbeat=time.time())

    def retract(self, run: int, reason: str) -> None:
        """Hide a run from every reader without deleting it. Raises UserError when there is none to hide."""
        hidden = {"retracted": time.time(), "retraction": reason}
        with self.database.transaction(write=True) as connection:
            if connection.execute(runs.update().where(runs.c.id == run, _live).values(hidden)).rowcount != 1:
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
    ) -> "pd.DataFrame":
        """A row per run, in the order they were recorded: what was asked, what came out, its provenance.

        task, protocol, cells: canonical ids
        keys: exactly the runs of these keys, though a newer version of their cell may be there
        """
        import pandas as pd

        columns = [runs.c[name] for name in (*_REQUEST, *_RESULT, "created", "provenance_id")]
        query = self._visible(task, protocol, cells, keys).add_columns(*columns).order_by(runs.c.id)
        contents = sa.select(provenances.c.id, provenances.c.content)
        with self.database.transaction() as connection:
            frame = _frame(connection, query)
            provenance = dict(connection.execute(contents).tuples().all())
        frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True)
        frame["provenance"] = frame.pop("provenance_id").map(provenance).astype(object)
        return frame

    def scores(
        self,
        *,
        task: str | None = None,
        protocol: str | None = None,
        cells: Iterable[str] | None = None,
        keys: Iterable[str] | None = None,
    ) -> "pd.DataFrame":
        """A row per run, split and gap: the Score, and the run's request and outcome (`trained_gap` its gap).

        task, protocol, cells, keys: as for `runs`
        """
        visible = self._visible(task, protocol, cells, keys)
        columns = [runs.c[name].label("trained_gap" if name == "gap" else name) for name in _REQUEST]
        counted = (
            sa.select(scores.c.run_id.label("run"), *list(scores.c)[1:])
            .where(scores.c.run_id.in_(visible.with_only_columns(runs.c.id)))
            .order_by(scores.c.run_id, scores.c.split, scores.c.gap)
        )
        with self.database.transaction() as connection:
            asked = _frame(connection, visible.add_columns(*columns, runs.c.outcome).order_by(runs.c.id))
            return asked.merge(_frame(connection, counted), on="run")

    def learning(self, run_ids: Iterable[int]) -> "pd.DataFrame":
        """The learning curves of these runs, a row per Point: run, update, loss, accuracy."""
        query = (
            sa.select(points.c.run_id.label("run"), *list(points.c)[1:])
            .where(self.database.among(points.c.run_id, map(int, run_ids)))
            .order_by(points.c.run_id, points.c.update)
        )
        with self.database.transaction() as connection:
            return _frame(connection, query)

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
            frame = _frame(connection, query)
        frame["outcome"] = pd.Series([_outcome(attempt) for attempt in frame.itertuples()], dtype="object")
        for name in ("started", "heartbeat"):
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
        return frame

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

    def entries(self) -> "pd.DataFrame":
        """The distinct combinations of cell, task, protocol and division of which there are runs."""
        columns = (
            _cell.c.card.label("cell"),
            _cell.c.name.label("cell_name"),
            _task.c.card.label("task"),
            protocols.c.protocol,
            runs.c.division,
        )
        query = self._visible().with_only_columns(*columns).distinct().order_by(*columns)
        with self.database.transaction() as connection:
            return _frame(connection, query)

    def _visible(
        self,
        task: str | None = None,
        protocol: str | None = None,
        cells: Iterable[str] | None = None,
        keys: Iterable[str] | None = None,
    ) -> sa.Select[Any]:
        """The runs that readers see, with the words for what they are of."""
        query = (
            sa.select(
                runs.c.id.label("run"),
                _cell.c.card.label("cell"),
                _cell.c.name.label("cell_name"),
                _cell.c.version.label("cell_version"),
                _task.c.card.label("task"),
                protocols.c.protocol,
            )
            .join_from(runs, _cell, runs.c.cell_id == _cell.c.id)
            .join(_task, runs.c.task_id == _task.c.id)
            .join(protocols)
            .where(_live)
        )
        if task is not None:
            query = query.where(_task.c.card == task)
        if protocol is not None:
            query = query.where(protocols.c.protocol == protocol)
        if cells is not None:
            query = query.where(_cell.c.card.in_(list(cells)))
        if keys is not None:
            return query.where(self.database.among(runs.c.key, keys))
        version = (cards.c.name, cards.c.version, runs.c.numerics)
        of_cards = runs.c.cell_id == cards.c.id
        last = sa.select(sa.func.max(runs.c.id)).join_from(runs, cards, of_cards).where(_live)
        newest = sa.select(*version).join_from(runs, cards, of_cards)
        newest = newest.where(runs.c.id.in_(last.group_by(cards.c.name)))
        return query.where(sa.tuple_(_cell.c.name, _cell.c.version, runs.c.numerics).in_(newest))

    def _attempts_at(self, keys: Iterable[str]) -> sa.Select[Any]:
        among = self.database.among(attempt_runs.c.key, keys)
        return sa.select(attempt_runs.c.key, attempts).join(attempts).where(among).order_by(attempts.c.id)


def _outcome(attempt: Any) -> str | None:
    """How an attempt ended: as noted, or `killed` when it is dead. None: it lives."""
    if attempt.outcome is not None:
        return str(attempt.outcome)
    host, pid = attempt.owner.split(":")[:2]
    gone = host == socket.gethostname() and not _lives(int(pid))
    return "killed" if gone or time.time() - attempt.heartbeat > STALE_SECONDS else None


def _lives(pid: int) -> bool:
    if os.name != "posix":
        return True  # there the heartbeat alone tells
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _change(connection: sa.Connection, attempt: int, **values: Any) -> None:
    if connection.execute(attempts.update().where(attempts.c.id == attempt).values(values)).rowcount != 1:
        raise ValueError(f"there is no attempt {attempt}")


def _insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int:
    return int(connection.execute(table.insert().values(row).returning(table.c.id)).scalar_one())


def _number(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], *unique: str) -> int:
    """The number of the row with these unique values, which is inserted unless it is there."""
    query = sa.select(table.c.id).where(*(table.c[name] == row[name] for name in unique))
    found = connection.scalars(query).one_or_none()
    return _insert(connection, table, row) if found is None else int(found)


def _record(
    connection: sa.Connection,
    attempt: int,
    result: RunResult,
    cell: Card,
    task: Card,
    protocol: Mapping[str, Any],
) -> None:
    request = result.request
    if connection.scalars(sa.select(runs.c.id).where(runs.c.key == request.key, _live)).first() is not None:
        return
    provenance = canonical(result.provenance)
    row = {name: getattr(request, name) for name in _REQUEST}
    row |= {name: getattr(result, name) for name in _RESULT}
    row |= {
        "key": request.key,
        "attempt_id": attempt,
        "cell_id": _card(connection, cell),
        "task_id": _card(connection, task),
        "protocol_id": _number(
            connection, protocols, {"protocol": request.protocol, "content": dict(protocol)}, "protocol"
        ),
        "provenance_id": _number(
            connection,
            provenances,
            {"digest": digest(provenance), "content": json.loads(provenance)},
            "digest",
        ),
        "created": time.time(),
    }
    run = _insert(connection, runs, row)
    if result.scores:
        connection.execute(scores.insert(), [{"run_id": run, **s._asdict()} for s in result.scores])
    if result.curve:
        connection.execute(
            points.insert(),
            [
                {"run_id": run, "update": p.update, "loss": _known(p.loss), "accuracy": _known(p.accuracy)}
                for p in result.curve
            ],
        )


def _card(connection: sa.Connection, card: Card) -> int:
    row = {**vars(card), "card": card.id, "options": dict(card.options)}
    del row["id"]
    return _number(connection, cards, row, "kind", "card", "version")


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _frame(connection: sa.Connection, query: sa.Select[Any]) -> "pd.DataFrame":
    """A query's rows as a frame whose types follow from the columns, not from what happens to be in them."""
    import pandas as pd

    rows = connection.execute(query).all()
    columns = query.selected_columns.items()
    return pd.DataFrame(
        {name: pd.Series([row[i] for row in rows], dtype=_kind(c)) for i, (name, c) in enumerate(columns)}
    )


def _kind(column: Any) -> str:
    if isinstance(column.type, sa.Boolean):
        return "bool"
    labelled = getattr(column, "element", column)
    if isinstance(column.type, sa.Integer) and not getattr(labelled, "nullable", False):
        return "int64"
    return "float64" if isinstance(column.type, sa.Integer | sa.Float) else "object"
