"""How a run gets into the tables."""

import json
import math
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from harness.store.records import Card, RunResult, canonical, digest
from harness.store.schema import ASKED, CAME_OUT, cards, live, points, protocols, provenances, runs, scores

_NUMBERS = "numbers of rows"


def insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int:
    """Insert a row; its number."""
    return int(connection.execute(table.insert().values(row).returning(table.c.id)).scalar_one())


def record_run(
    connection: sa.Connection,
    attempt: int,
    result: RunResult,
    cell: Card,
    task: Card,
    protocol: Mapping[str, Any],
    created: float,
) -> bool:
    """Insert a run with its scores and learning curve, unless there is one of its key; whether there is not.

    created: when it was recorded first
    """
    request = result.request
    if connection.scalar(sa.select(runs.c.id).where(runs.c.key == request.key, live)) is not None:
        return False
    content = {"protocol": request.protocol, "content": dict(protocol)}
    row = {
        "key": request.key,
        "attempt_id": attempt,
        "cell_id": _card(connection, cell),
        "task_id": _card(connection, task),
        "protocol_id": _number(connection, protocols, content, "protocol"),
        "provenance_id": _provenance(connection, result.provenance),
        "created": created,
    }
    row |= {name: getattr(request, name) for name in ASKED}
    row |= {name: getattr(result, name) for name in CAME_OUT}
    row["reason"] = None if result.reason is None else storable(result.reason)
    run = insert(connection, runs, row)
    if result.scores:
        connection.execute(scores.insert(), [{"run_id": run, **score._asdict()} for score in result.scores])
    if result.curve:
        curve = [(p.update, _known(p.loss), _known(p.accuracy)) for p in result.curve]
        columns = ("run_id", "update", "loss", "accuracy")
        connection.execute(points.insert(), [dict(zip(columns, (run, *p), strict=True)) for p in curve])
    return True


def storable(text: str) -> str:
    """What somebody's code said, without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "�").encode(errors="replace").decode()


def _card(connection: sa.Connection, card: Card) -> int:
    row = {**vars(card), "card": card.id, "options": dict(card.options)}
    del row["id"]
    return _number(connection, cards, row, "kind", "card", "version")


def _provenance(connection: sa.Connection, provenance: Mapping[str, Any]) -> int:
    text = canonical(provenance)
    return _number(connection, provenances, {"digest": digest(text), "content": json.loads(text)}, "digest")


def _number(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], *unique: str) -> int:
    """The number of the row that is equal in these columns, which is inserted where there is none."""
    known = connection.info.setdefault(_NUMBERS, {})  # as long as the connection, and so the transaction
    key = (table.name, *(row[name] for name in unique))
    if key not in known:
        query = sa.select(table.c.id).where(*(table.c[name] == row[name] for name in unique))
        found = connection.scalar(query)
        known[key] = insert(connection, table, row) if found is None else int(found)
    return int(known[key])


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
