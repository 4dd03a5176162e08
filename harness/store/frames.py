"""What was measured, as frames."""

import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from harness.store.database import Database
from harness.store.life import outcome_of
from harness.store.reading import NAMES, frame, reported, visible
from harness.store.records import Card
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


class Frames:
    """What readers see of a store.

    It is the newest of every cell: for each name, runs of the source (and of the engine's numerics) of
    which a run was recorded last; who asks by key sees the runs of these keys. Frames have a column for
    everything, also when they are empty; whole numbers that may be missing are floats, NaN where they are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

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
        """A row per attempt, in the order they began: how many members it has, and how many of these are
        left, which is without a run, if it has not finished.

        The outcome of one that lives is None, that of one whose owner is gone `killed`.
        """
        import pandas as pd

        members = sa.select(attempt_runs.c.attempt_id, sa.func.count().label("members"))
        counted = members.group_by(attempt_runs.c.attempt_id).subquery()
        without = (
            sa.select(attempt_runs.c.attempt_id, sa.func.count().label("left"))
            .join_from(attempt_runs, attempts)
            .outerjoin(runs, sa.and_(runs.c.key == attempt_runs.c.key, live))
            .where(runs.c.id.is_(None), sa.func.coalesce(attempts.c.outcome, "") != "finished")
            .group_by(attempt_runs.c.attempt_id)
            .subquery()
        )
        left = sa.func.coalesce(without.c.left, 0).label("left")
        query = (
            sa.select(attempts.c.id.label("attempt"), *list(attempts.c)[1:], counted.c.members, left)
            .join_from(attempts, counted)
            .outerjoin(without, without.c.attempt_id == attempts.c.id)
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
        """The distinct combinations of cell, task, protocol and division of which there are runs, each with
        the number of its repetitions.
        """
        kind = (runs.c[name] for name in ("cell_id", "task_id", "protocol_id", "division", "numerics"))
        last = sa.select(
            sa.func.max(runs.c.id).label("run"), (sa.func.max(runs.c.repetition) + 1).label("repetitions")
        )
        one_of_each = last.where(live).group_by(*kind).subquery()
        columns = *NAMES, runs.c.division, one_of_each.c.repetitions
        joined = visible().join(one_of_each, one_of_each.c.run == runs.c.id)
        query: sa.Select[Any] = joined.with_only_columns(*columns).order_by(*columns).distinct()
        return self.database.read(lambda connection: frame(connection, query))

    def _of(self, keys: Iterable[str] | None) -> sa.ColumnElement[bool] | None:
        return None if keys is None else self.database.among(runs.c.key, keys)


def _provenances(connection: sa.Connection) -> dict[int, dict[str, Any]]:
    query = sa.select(provenances.c.id, provenances.c.content)
    return {row.id: row.content for row in connection.execute(query)}
