"""The tables, as the newest migration leaves them. Times are seconds since 1970, in UTC."""

import sqlalchemy as sa
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
)

REVISION = "0002"
"""The newest migration."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


cards = sa.Table(
    "cards",
    metadata,
    _id(),
    Column("kind", String(8), nullable=False),
    Column("card", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("docstring", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("options", JSON, nullable=False),
    sa.UniqueConstraint("kind", "card", "version"),
)

protocols = sa.Table(
    "protocols",
    metadata,
    _id(),
    Column("protocol", Text, nullable=False, unique=True),
    Column("content", JSON, nullable=False),
)

provenances = sa.Table(
    "provenances",
    metadata,
    _id(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("content", JSON, nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    _id(),
    Column("owner", Text, nullable=False),
    Column("cell", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("gap", Integer),
    Column("started", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("progress", Double, nullable=False),
    Column("outcome", String(16)),
    Column("reason", Text),
)

IMPORTED = "import"
"""The owner of attempts whose runs came from a file: these are reported, and not measured here."""

attempt_runs = sa.Table(
    "attempt_runs",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("attempt_id", ForeignKey(attempts.c.id), primary_key=True),
    sqlite_with_rowid=False,
)

plans = sa.Table(
    "plans",
    metadata,
    _id(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
)

plan_runs = sa.Table(
    "plan_runs",
    metadata,
    Column("plan_id", ForeignKey(plans.c.id), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("cost", Double, nullable=False),
    sqlite_with_rowid=False,
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    Column("key", String(64), nullable=False),
    Column("attempt_id", ForeignKey(attempts.c.id), nullable=False),
    Column("cell_id", ForeignKey(cards.c.id), nullable=False),
    Column("task_id", ForeignKey(cards.c.id), nullable=False),
    Column("protocol_id", ForeignKey(protocols.c.id), nullable=False),
    Column("provenance_id", ForeignKey(provenances.c.id), nullable=False),
    Column("division", String(8), nullable=False),
    Column("repetition", Integer, nullable=False),
    Column("lr", Double, nullable=False),
    Column("gap", Integer),
    Column("hidden_size", Integer, nullable=False),
    Column("dtype", String(16), nullable=False),
    Column("numerics", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("outcome_update", Integer),
    Column("reason", Text),
    Column("cell_parameters", Integer, nullable=False),
    Column("state_floats", Integer, nullable=False),
    Column("updates", Integer, nullable=False),
    Column("updates_to_solve", Integer),
    Column("gap_auc", Double),
    Column("seconds", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("retracted", Double),
    Column("retraction", Text),
    CheckConstraint("outcome IN ('finished', 'diverged', 'crashed')", name="outcome"),
)
live = runs.c.retracted.is_(None)
"""Whether a run counts."""
for name, columns, unique in (
    ("uq_runs_key", [runs.c.key], True),
    ("ix_runs_cell", [runs.c.cell_id], False),
    ("ix_runs_task", [runs.c.task_id, runs.c.protocol_id], False),
):
    Index(name, *columns, unique=unique, sqlite_where=live, postgresql_where=live)

scores = sa.Table(
    "scores",
    metadata,
    Column("run_id", ForeignKey(runs.c.id), primary_key=True),
    Column("split", String(10), primary_key=True),
    Column("gap", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer, nullable=False),
    Column("n_correct", Integer),
    Column("chance", Double, nullable=False),
    Column("extrapolated", Boolean, nullable=False),
    CheckConstraint("n_correct BETWEEN 0 AND n", name="n_correct"),
    sqlite_with_rowid=False,
)

points = sa.Table(
    "points",
    metadata,
    Column("run_id", ForeignKey(runs.c.id), primary_key=True),
    Column("update", Integer, primary_key=True, autoincrement=False),
    Column("loss", Double),
    Column("accuracy", Double),
    sqlite_with_rowid=False,
)

ASKED = ("division", "repetition", "lr", "gap", "hidden_size", "dtype", "numerics")
"""The columns of a run that are fields of its RunRequest."""
CAME_OUT = (
    *("outcome", "outcome_update", "reason", "cell_parameters", "state_floats"),
    *("updates", "updates_to_solve", "gap_auc", "seconds"),
)
"""The columns of a run that are fields of its RunResult."""
