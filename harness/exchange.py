"""Results as text that can be reviewed: a file of JSON Lines, and the way back, which believes nothing.

The first line tells the format and how many lines follow. Then comes what runs refer to, each once:
provenances, protocols, cards of cells and tasks; then a line for each run, in a fixed order, so that more
results are more lines and change no other. Counts are exact; learning curves have four digits. The name of
the host that trained stays behind.
"""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, get_args

from harness.errors import UserError
from harness.protocol import PROTOCOLS, Protocol
from harness.registry import find_task
from harness.stats import gap_auc
from harness.store import Card, Point, Recorded, RunRequest, RunResult, Score, Store
from harness.store.records import RunOutcome, canonical, digest
from harness.store.schema import CAME_OUT

FORMAT = 1
REFERENCE = Path(__file__).parent / "reference.jsonl"
"""The results that come with the package."""
_SHORT = 12


def write(store: Store, cells: Container[str] | None = None) -> Iterator[str]:
    """The store as lines of text; of these cells only, by their ids, where they are given."""
    head: dict[str, dict[str, Any]] = {}
    runs = []
    for record in store.everything():
        result, request = record.result, record.result.request
        if cells is not None and request.cell not in cells:
            continue
        content = {name: value for name, value in result.provenance.items() if name != "host"}
        provenance = {"provenance": digest(canonical(content))[:_SHORT]}
        head.setdefault(_line(provenance), {**provenance, "content": content})
        head.setdefault(
            f"protocol {request.protocol}", {"protocol": request.protocol, "content": record.protocol}
        )
        for card in (record.cell, record.task):
            head.setdefault(f"{card.kind} {card.id} {card.version}", {"card": asdict(card)})
        runs.append(
            {"run": request.key}
            | asdict(request)
            | {name: getattr(result, name) for name in CAME_OUT}
            | provenance
            | {"created": record.created}
            | {"scores": [list(score) for score in result.scores]}
            | {"curve": [[point.update, *map(_rounded, point[1:])] for point in result.curve]}
        )
    rows = [*(head[key] for key in sorted(head)), *runs]
    yield _line({"format": FORMAT, "lines": len(rows)})
    yield from map(_line, rows)


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def read(name: str) -> list[Recorded]:
    """The runs of a file that `write` wrote; `reference` means those that come with the package.

    Raises UserError, naming the line, where anything does not add up.
    """
    path = REFERENCE if name == "reference" else Path(name)
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        if name == "reference":
            raise UserError("this version of the harness comes without reference results") from None
        raise UserError(f"there is no file {name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {error}") from None
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        try:
            reader.take(number, json.loads(line))
        except UserError as error:
            raise UserError(f"{name}, line {number}: {error}") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{name}, line {number}: not JSON: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{name}, line {number}: {type(error).__name__}: {error}") from None
    if reader.lines != len(lines) - 1:
        raise UserError(f"{name} is not whole: it has {max(len(lines) - 1, 0)} lines of {reader.lines}")
    return reader.records


class _Reader:
    """Takes line after line."""

    def __init__(self) -> None:
        self.lines = -1
        self.known: dict[tuple[str, ...], Any] = {}
        self.keys: set[str] = set()
        self.records: list[Recorded] = []

    def take(self, number: int, row: dict[str, Any]) -> None:
        if number == 1:
            _require(
                row.get("format") == FORMAT, f"this harness reads format {FORMAT} of `harness db export`"
            )
            self.lines = row["lines"]
        elif "run" in row:
            record = self._record(row)
            _check(record)
            _require(row["run"] not in self.keys, "this run stands twice")
            self.keys.add(row["run"])
            self.records.append(record)
        elif "card" in row:
            card = Card(**row["card"])
            self.known[card.kind, card.id, card.version] = card
            _check_card(card)
        elif "protocol" in row:
            self.known["protocol", row["protocol"]] = row["content"]
            _check_protocol(row["protocol"], row["content"])
        else:
            name, content = row["provenance"], row["content"]
            _require(digest(canonical(content))[:_SHORT] == name, "the hash of this provenance is another")
            self.known["provenance", name] = content

    def _record(self, row: dict[str, Any]) -> Recorded:
        request = RunRequest(**{name: row[name] for name in RunRequest.__dataclass_fields__})
        _require(
            request.key == row["run"], "its key is not the hash of what was asked: something was changed"
        )
        result = RunResult(
            request=request,
            provenance=self._find("provenance", row["provenance"]),
            scores=[Score(*score) for score in row["scores"]],
            curve=[Point(*point) for point in row["curve"]],
            **{name: row[name] for name in CAME_OUT},
        )
        version = request.task.partition("@")[2].partition("[")[0]
        cell = self._find("cell", request.cell, request.cell_version)
        _require(cell.name == request.cell_name, f"the card of {request.cell} has another name")
        task, protocol = self._find("task", request.task, version), self._find("protocol", request.protocol)
        return Recorded(result, cell, task, protocol, float(row["created"]))

    def _find(self, *key: str) -> Any:
        _require(key in self.known, f"no line before it tells of {' '.join(key)}")
        return self.known[key]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


def _check_card(card: Card) -> None:
    if card.kind == "cell":
        version = digest(card.source)[: len(card.version)]
        _require(
            len(card.version) == _SHORT and card.version == version,
            f"cell {card.id}: its source is of version {version}",
        )
    else:
        _task(card.id)


def _check_protocol(id: str, content: Mapping[str, Any]) -> None:
    name = id.partition("@")[0]
    _require(name in PROTOCOLS and content["name"] == name, f"there is no protocol {id}")
    _require(
        Protocol.of(content).id == id, f"protocol {id}: its content is that of {Protocol.of(content).id}"
    )


def _check(record: Recorded) -> None:
    """Raise UserError where a run is not what its protocol and task ask for, or its numbers do not add up."""
    result, request = record.result, record.result.request
    protocol = Protocol.of(record.protocol)
    asked = _gaps(request.task, protocol)
    _require(result.outcome in get_args(RunOutcome), f"there is no outcome {result.outcome!r}")
    _require(request.division == protocol.division, f"division {request.division} under {protocol.id}")
    _require(request.lr in protocol.lr, f"learning rate {request.lr} under {protocol.id}")
    if request.gap is None:
        _require(protocol.train == "mixed", f"no gap of its own under {protocol.id}")
    else:
        _require(protocol.train == "fixed" and request.gap in asked, f"gap {request.gap} under {protocol.id}")
        asked = (request.gap,)
    places = sorted((split, gap) for split in ("test", "validation") for gap in asked)
    _require(sorted((s.split, s.gap) for s in result.scores) == places, "not a score for each gap and split")
    for score in result.scores:
        what = f"{score.split} at gap {score.gap}"
        n = protocol.rows * _queries(request.task, score.gap)
        _require(score.n == n, f"{what}: {score.n} answers where {protocol.id} asks for {n}")
        counted = score.n_correct is not None
        _require(counted == (result.outcome == "finished"), f"{what}: a count where the run {result.outcome}")
        _require(
            score.n_correct is None or 0 <= score.n_correct <= n, f"{what}: {score.n_correct} of {n} right"
        )
        chance = _chance(request.task, score.gap)
        _require(score.chance == chance, f"{what}: chance is {chance}")
        _require(score.extrapolated == protocol.extrapolated(score.gap), f"{what}: extrapolated or not")
    test = [score for score in result.scores if score.split == "test"]
    right = [s.chance if s.n_correct is None else s.n_correct / s.n for s in test]
    area = float(gap_auc([s.gap for s in test], right, [s.chance for s in test]))
    if result.gap_auc is not None:
        _require(
            abs(area - result.gap_auc) < 1e-9, f"its counts make a gap-AUC of {area}, not {result.gap_auc}"
        )


@cache
def _task(id: str) -> Any:
    return find_task(id)


@cache
def _gaps(task: str, protocol: Protocol) -> tuple[int, ...]:
    return protocol.evaluated(_task(task).min_gap)


@cache
def _chance(task: str, gap: int) -> float:
    return float(_task(task).chance(gap))


@cache
def _queries(task: str, gap: int) -> int:
    return len(_task(task).batch("test", 0, gap, 0, 1).queries)


def export(store: Store, path: Path, cells: Container[str] | None = None) -> tuple[int, int]:
    """Write a store's runs, or those of these cells, into a file; how many runs and lines.

    Raises OSError where that cannot be.
    """
    lines = list(write(store, cells))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return sum(line.startswith('{"run"') for line in lines), len(lines)
