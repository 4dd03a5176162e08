"""How a run gets into the tables."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from harness.store.records import Card, Recorded, canonical, digest
from harness.store.schema import ASKED, CAME_OUT, cards, live, points, protocols, provenances, runs, scores


def insert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> int:
    """Insert a row; its number."""
    return int(connection.execute(table.insert().values(row).returning(table.c.id)).scalar_one())


def record_runs(connection: sa.Connection, attempt: int, records: Iterable[Recorded]) -> int:
    """Insert an attempt's runs with their scores and learning curves, but for those whose key has one.

    Returns how many had none.
    """
    new = {record.result.request.key: record for record in records}
    for key in connection.scalars(sa.select(runs.c.key).where(runs.c.key.in_(new), live)).all():
        del new[key]
    if not new:
        return 0
    numbers = _Numbers(connection)
    rows = [
        {
            "key": key,
            "attempt_id": attempt,
            "cell_id": numbers.card(record.cell),
            "task_id": numbers.card(record.task),
            "protocol_id": numbers.protocol(record.result.request.protocol, record.protocol),
            "provenance_id": numbers.provenance(record.result.provenance),
            "created": record.created,
        }
        | {name: getattr(record.result.request, name) for name in ASKED}
        | {name: getattr(record.result, name) for name in CAME_OUT}
        | {"reason": record.result.reason and storable(record.result.reason)}
        for key, record in new.items()
    ]
    returned = runs.insert().returning(runs.c.id, runs.c.key)
    run = {row.key: row.id for row in connection.execute(returned, rows)}
    counted = [
        {"run_id": run[key], **score._asdict()} for key, one in new.items() for score in one.result.scores
    ]
    learned = [
        {"run_id": run[key], "update": p.update, "loss": _known(p.loss), "accuracy": _known(p.accuracy)}
        for key, one in new.items()
        for p in one.result.curve
    ]
    for table, of_table in ((scores, counted), (points, learned)):
        if of_table:
            connection.execute(table.insert(), of_table)
    return len(new)


class _Numbers:
    """The numbers of what runs refer to; what is not there yet is inserted."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.known: dict[tuple[Any, ...], int] = {}

    def card(self, card: Card) -> int:
        row = {**vars(card), "card": card.id, "options": dict(card.options)}
        del row["id"]
        return self._number(cards, row, "kind", "card", "version")

    def protocol(self, id: str, content: Mapping[str, Any]) -> int:
        return self._number(protocols, {"protocol": id, "content": dict(content)}, "protocol")

    def provenance(self, provenance: Mapping[str, Any]) -> int:
        text = canonical(provenance)
        return self._number(provenances, {"digest": digest(text), "content": json.loads(text)}, "digest")

    def _number(self, table: sa.Table, row: Mapping[str, Any], *unique: str) -> int:
        """The number of the row that is equal in these columns."""
        place = (table.name, *(row[name] for name in unique))
        if place not in self.known:
            query = sa.select(table.c.id).where(*(table.c[name] == row[name] for name in unique))
            found = self.connection.scalar(query)
            self.known[place] = insert(self.connection, table, row) if found is None else int(found)
        return self.known[place]


def storable(text: str) -> str:
    """What somebody's code said, without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "�").encode(errors="replace").decode()


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
