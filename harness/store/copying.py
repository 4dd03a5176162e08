"""How a whole store gets into another database, of whatever kind."""

import sqlalchemy as sa

from harness.errors import UserError
from harness.store.database import Database
from harness.store.schema import metadata

_ROWS = 5_000
"""Rows that are carried at once."""


def copy(source: Database, target: Database) -> None:
    """Copy all of a store, retracted runs and attempts too, numbers as they are: all of it or nothing.

    Raises UserError where there is no store, or one of another revision, or where the target is not empty.
    """
    source.check()

    def write(into: sa.Connection) -> None:
        if sa.inspect(into).get_table_names():
            raise UserError(f"{target.name} is not empty: a store is copied to where there is nothing yet")
        target.migrate(into)
        with source.transaction() as out:
            for table in metadata.sorted_tables:
                query = sa.select(table).order_by(*table.primary_key)
                rows = out.execute(query, execution_options={"yield_per": _ROWS})
                for part in rows.mappings().partitions():
                    into.execute(table.insert(), [dict(row) for row in part])
        if into.dialect.name == "postgresql":
            _count_on(into)

    target.create(write)


def _count_on(connection: sa.Connection) -> None:
    """Have PostgreSQL number new rows after those that are there."""
    for table in metadata.sorted_tables:
        if "id" in table.c:
            last = connection.scalar(sa.select(sa.func.max(table.c.id)))
            if last is not None:
                sequence = sa.func.pg_get_serial_sequence(table.name, "id")
                connection.execute(sa.select(sa.func.setval(sequence, last)))
