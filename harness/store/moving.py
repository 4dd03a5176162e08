"""How runs get from one store into another."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from harness.store.reading import NAMES, visible
from harness.store.recording import insert, record_runs
from harness.store.records import Card, Point, Recorded, RunRequest, RunResult, Score
from harness.store.schema import (
    ASKED,
    CAME_OUT,
    IMPORTED,
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


def recorded(connection: sa.Connection) -> Iterator[Recorded]:
    """Every run that counts, in order."""
    known = {row.id: _card(row) for row in connection.execute(sa.select(cards))}
    content = {row.id: row.content for row in connection.execute(sa.select(protocols))}
    provenance = {row.id: row.content for row in connection.execute(sa.select(provenances))}
    numbers = ("cell_id", "task_id", "protocol_id", "provenance_id", "created")
    query = visible(keys=live).add_columns(*(runs.c[name] for name in (*ASKED, *CAME_OUT, *numbers)))
    counted = _by_run(connection, scores, Score)
    learned = _by_run(connection, points, Point)
    found = []
    for row in connection.execute(query.order_by(runs.c.id)).mappings():
        request = RunRequest(**{name: row[name] for name in (*(c.name for c in NAMES), *ASKED)})
        result = RunResult(
            request=request,
            provenance=provenance[row["provenance_id"]],
            scores=counted.get(row["run"], []),
            curve=learned.get(row["run"], []),
            **{name: row[name] for name in CAME_OUT},
        )
        cell, task = known[row["cell_id"]], known[row["task_id"]]
        found.append(Recorded(result, cell, task, content[row["protocol_id"]], row["created"]))
    yield from sorted(found, key=lambda record: record.order)


def _by_run(connection: sa.Connection, table: sa.Table, kind: Any) -> dict[int, list[Any]]:
    query = sa.select(table).join(runs).where(live).order_by(*table.primary_key)
    rows = groupby(connection.execute(query), key=lambda row: row.run_id)
    return {run: [kind(*row[1:]) for row in of_run] for run, of_run in rows}


def _card(row: Any) -> Card:
    return Card(row.kind, row.card, row.version, row.name, row.docstring, row.source, row.options)


def add(connection: sa.Connection, records: Sequence[Recorded]) -> int:
    """Record the runs whose keys are not here; how many."""
    there = set(connection.scalars(sa.select(runs.c.key).where(live)))
    new = [record for record in records if record.result.request.key not in there]
    new.sort(key=lambda record: (_population(record), record.created))
    populations = [list(of) for _, of in groupby(new, key=_population)]
    for members in sorted(populations, key=lambda members: members[-1].created):  # the newest last, as it was
        first, last = members[0], members[-1]
        r = first.result.request
        attempt = {
            "owner": IMPORTED, "cell": r.cell, "task": r.task, "protocol": r.protocol, "gap": r.gap,
            "started": first.created, "heartbeat": last.created, "progress": 1.0, "outcome": "finished",
        }  # fmt: skip
        number = insert(connection, attempts, attempt)
        keys = [{"key": member.result.request.key, "attempt_id": number} for member in members]
        connection.execute(attempt_runs.insert(), keys)
        record_runs(connection, number, members)
    return len(new)


def _population(record: Recorded) -> tuple[Any, ...]:
    r = record.result.request
    at = -1 if r.gap is None else r.gap
    return r.cell, r.cell_version, r.numerics, r.task, r.protocol, r.hidden_size, at
