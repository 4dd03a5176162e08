"""The first tables: runs, scores, learning curves, attempts, cards, protocols, provenances."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, and have the database itself refuse to change a finished run."""
    op.create_table(
        "cards",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("docstring", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.UniqueConstraint("kind", "card", "version"),
    )
    op.create_table(
        "protocols",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("protocol", sa.Text, nullable=False, unique=True),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "provenances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("content", sa.JSON, nullable=False),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("cell", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("gap", sa.Integer),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("heartbeat", sa.Double, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "attempt_runs",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempts.id"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempts.id"), nullable=False),
        sa.Column("cell_id", sa.Integer, sa.ForeignKey("cards.id"), nullable=False),
        sa.Column("task_id", sa.Integer, sa.ForeignKey("cards.id"), nullable=False),
        sa.Column("protocol_id", sa.Integer, sa.ForeignKey("protocols.id"), nullable=False),
        sa.Column("provenance_id", sa.Integer, sa.ForeignKey("provenances.id"), nullable=False),
        sa.Column("division", sa.String(8), nullable=False),
        sa.Column("repetition", sa.Integer, nullable=False),
        sa.Column("lr", sa.Double, nullable=False),
        sa.Column("gap", sa.Integer),
        sa.Column("hidden_size", sa.Integer, nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("numerics", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("outcome_update", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("cell_parameters", sa.Integer, nullable=False),
        sa.Column("state_floats", sa.Integer, nullable=False),
        sa.Column("updates", sa.Integer, nullable=False),
        sa.Column("updates_to_solve", sa.Integer),
        sa.Column("gap_auc", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("retracted", sa.Double),
        sa.Column("retraction", sa.Text),
        sa.CheckConstraint("outcome IN ('finished', 'diverged', 'crashed')", name="outcome"),
    )
    live = sa.text("retracted IS NULL")
    for name, columns, unique in (
        ("uq_runs_key", ["key"], True),
        ("ix_runs_cell", ["cell_id"], False),
        ("ix_runs_task", ["task_id", "protocol_id"], False),
    ):
        op.create_index(name, "runs", columns, unique=unique, sqlite_where=live, postgresql_where=live)
    op.create_table(
        "scores",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("split", sa.String(10), primary_key=True),
        sa.Column("gap", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("n_correct", sa.Integer),
        sa.Column("chance", sa.Double, nullable=False),
        sa.Column("extrapolated", sa.Boolean, nullable=False),
        sa.CheckConstraint("n_correct BETWEEN 0 AND n", name="n_correct"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "points",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("update", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("loss", sa.Double),
        sa.Column("accuracy", sa.Double),
        sqlite_with_rowid=False,
    )
    _refuse_changes()


def _refuse_changes() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    message = "a finished run is immutable"
    if not sqlite:
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
    body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END" if sqlite else "EXECUTE FUNCTION refuse_change()"
    measured = (
        "id, key, attempt_id, cell_id, task_id, protocol_id, provenance_id, division, repetition, lr, gap, "
        "hidden_size, dtype, numerics, outcome, outcome_update, reason, cell_parameters, state_floats, "
        "updates, updates_to_solve, gap_auc, seconds, created"
    )
    for table, changed in (("runs", f"UPDATE OF {measured}"), ("scores", "UPDATE"), ("points", "UPDATE")):
        for event in (changed, "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event[:6].lower()} BEFORE {event} ON {table} FOR EACH ROW {body}"
            )
