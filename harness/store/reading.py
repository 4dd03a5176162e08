"""How runs get out of the tables."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from harness.store.schema import IMPORTED, attempts, cards, live, protocols, runs

if TYPE_CHECKING:
    import pandas as pd

_cell, _task = cards.alias("cell"), cards.alias("task")

NAMES = (
    _cell.c.card.label("cell"),
    _cell.c.name.label("cell_name"),
    _cell.c.version.label("cell_version"),
    _task.c.card.label("task"),
    protocols.c.protocol,
)
"""What a run is of."""

_imports = sa.select(attempts.c.id).where(attempts.c.owner == IMPORTED)
reported = runs.c.attempt_id.in_(_imports).label("reported")
"""Whether a run came from a file, and was not measured here."""


def visible(
    task: str | Sequence[str] | None = None,
    protocol: str | None = None,
    cells: Iterable[str] | None = None,
    keys: sa.ColumnElement[bool] | None = None,
) -> sa.Select[Any]:
    """The runs that readers see, and what they are of. Where `keys` chooses, they need not be the newest."""
    query = (
        sa.select(runs.c.id.label("run"), *NAMES)
        .join_from(runs, _cell, runs.c.cell_id == _cell.c.id)
        .join(_task, runs.c.task_id == _task.c.id)
        .join(protocols)
        .where(live, _newest() if keys is None else keys)
    )
    if task is not None:  # asked of the number, which is indexed
        named = [task] if isinstance(task, str) else list(task)
        tasks = sa.select(cards.c.id).where(cards.c.kind == "task", cards.c.card.in_(named))
        query = query.where(runs.c.task_id.in_(tasks))
    if protocol is not None:
        under = sa.select(protocols.c.id).where(protocols.c.protocol == protocol)
        query = query.where(runs.c.protocol_id.in_(under))
    if cells is not None:
        query = query.where(_cell.c.card.in_(list(cells)))
    return query


def _newest() -> sa.ColumnElement[bool]:
    """Whether a run is of the source and numerics that the last run of its cell's name is of."""
    cell_id = runs.c.cell_id
    of_card = sa.select(cell_id, sa.func.max(runs.c.id).label("run")).where(live).group_by(cell_id).subquery()
    of_name = sa.select(sa.func.max(of_card.c.run)).join(cards, cards.c.id == of_card.c.cell_id)
    last = runs.c.id.in_(of_name.group_by(cards.c.name))
    newest = sa.select(cards.c.name, cards.c.version, runs.c.numerics).join_from(
        runs, cards, cell_id == cards.c.id
    )
    return sa.tuple_(_cell.c.name, _cell.c.version, runs.c.numerics).in_(newest.where(last))


def frame(connection: sa.Connection, query: sa.Select[Any]) -> "pd.DataFrame":
    """A query's rows as a frame whose types follow from its columns, not from what happens to be in them."""
    import pandas as pd

    columns = enumerate(query.selected_columns.items())
    with _no_collection():
        rows = connection.execute(query).all()
        return pd.DataFrame(
            {name: pd.Series([row[i] for row in rows], dtype=_kind(c)) for i, (name, c) in columns}
        )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the search for garbage, which goes through all rows again and again and finds none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _kind(column: Any) -> str:
    if isinstance(column.type, sa.Boolean):
        return "bool"
    labelled = getattr(column, "element", column)
    if isinstance(column.type, sa.Integer) and not getattr(labelled, "nullable", False):
        return "int64"
    return "float64" if isinstance(column.type, sa.Integer | sa.Float) else "object"
