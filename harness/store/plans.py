"""What drivers set out to train: kept while something of it is left, so that readers know what that is."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from harness.store.life import outcome_of
from harness.store.reading import frame
from harness.store.recording import insert
from harness.store.records import digest
from harness.store.schema import attempt_runs, attempts, live, plan_runs, plans, runs

if TYPE_CHECKING:
    import pandas as pd


class Plans(NamedTuple):
    """The plans of a store, and what of them trains."""

    plans: "pd.DataFrame"
    """A row per plan, in the order they began: plan, digest, name, owner, started, alive; its `runs`, of them
    those that are `done`, of those the ones that `failed`, and those that train (`running`); and what they
    cost: `cost` in all, `left` where there is no run yet, `made` since the plan was started last.
    """
    running: "pd.DataFrame"
    """A row per plan and living attempt at its runs: plan, started, progress, and their `cost`."""
    now: float
    """Seconds since 1970, as all times of it."""


def plan_digest(keys: Iterable[str]) -> str:
    """What a plan is known by: the same runs are the same plan."""
    return digest(" ".join(sorted(keys)))


def begin(connection: sa.Connection, name: str, owner: str, costs: Mapping[str, float], now: float) -> int:
    """Note a plan, or that it goes on, by its keys with the cost of each; finished ones are forgotten."""
    _forget(connection)
    known = plan_digest(costs)
    begun = {"name": name, "owner": owner, "started": now, "ended": None}
    found = connection.scalar(sa.select(plans.c.id).where(plans.c.digest == known))
    if found is not None:
        connection.execute(plans.update().where(plans.c.id == found).values(begun))
        return int(found)
    number = insert(connection, plans, {"digest": known, **begun})
    rows = [{"plan_id": number, "key": key, "cost": cost} for key, cost in costs.items()]
    connection.execute(plan_runs.insert(), rows)
    return number


def end(connection: sa.Connection, owner: str, now: float) -> None:
    """A driver ended; who began its plan again after it may go on."""
    connection.execute(plans.update().where(plans.c.owner == owner).values(ended=now))


def _forget(connection: sa.Connection) -> None:
    made = sa.select(runs.c.id).where(runs.c.key == plan_runs.c.key, live).exists()
    left = sa.select(plan_runs.c.plan_id).where(~made)
    finished = connection.scalars(sa.select(plans.c.id).where(plans.c.id.not_in(left))).all()
    connection.execute(plan_runs.delete().where(plan_runs.c.plan_id.in_(finished)))
    connection.execute(plans.delete().where(plans.c.id.in_(finished)))


def standing(connection: sa.Connection, now: float) -> Plans:
    """How far all plans are."""
    at_work = [
        row
        for row in connection.execute(sa.select(attempts).where(attempts.c.outcome.is_(None)))
        if outcome_of(row, now) is None
    ]
    made = sa.and_(runs.c.key == plan_runs.c.key, live)
    living = attempts.c.id.in_([row.id for row in at_work])
    of_plan = (
        sa.select(
            plan_runs.c.plan_id.label("plan"), attempts.c.id.label("attempt"), attempts.c.started,
            attempts.c.progress, sa.func.count().label("runs"), _sum(plan_runs.c.cost, "cost"),
        )
        .join_from(plan_runs, attempt_runs, plan_runs.c.key == attempt_runs.c.key)
        .join(attempts)
        .outerjoin(runs, made)
        .where(living, runs.c.id.is_(None))
        .group_by(plan_runs.c.plan_id, attempts.c.id, attempts.c.started, attempts.c.progress)
    )  # fmt: skip
    failed, since = runs.c.outcome != "finished", runs.c.created >= plans.c.started
    counts = (
        sa.select(
            *(plans.c.id.label("plan"), plans.c.digest, plans.c.name, plans.c.owner),
            *(plans.c.started, plans.c.ended),
            *(sa.func.count().label("runs"), sa.func.count(runs.c.id).label("done")),
            sa.func.count(sa.case((failed, 1))).label("failed"),
            _sum(plan_runs.c.cost, "cost"),
            _sum(sa.case((runs.c.id.is_(None), plan_runs.c.cost), else_=0.0), "left"),
            _sum(sa.case((since, plan_runs.c.cost), else_=0.0), "made"),
        )
        .join_from(plans, plan_runs)
        .outerjoin(runs, made)
        .group_by(*plans.c)
        .order_by(plans.c.started, plans.c.id)
    )
    running, found = frame(connection, of_plan), frame(connection, counts)
    found["running"] = found["plan"].map(running.groupby("plan")["runs"].sum()).fillna(0).astype(int)
    found["alive"] = [row.running > 0 or _alive(row, now) for row in found.itertuples()]
    return Plans(found.drop(columns="ended"), running, now)


def _sum(value: Any, name: str) -> sa.Label[Any]:
    return sa.func.sum(value, type_=sa.Double).label(name)


class _Driver(NamedTuple):
    owner: str
    heartbeat: float
    outcome: None = None


def _alive(plan: Any, now: float) -> bool:
    """Whether the driver of a plan lives, of which nothing trains at the moment."""
    return plan.ended != plan.ended and outcome_of(_Driver(plan.owner, plan.started), now) is None
