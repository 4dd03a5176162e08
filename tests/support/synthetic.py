"""Results as real ones look, made up: for tests of what reads the store."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.protocol import QUICK, QUICK_MIXED, Protocol
from harness.registry import find_task, suite
from harness.stats import gap_auc
from harness.store import Card, Point, RunRequest, RunResult, Score, Store
from harness.streams import Stream

REACH = {"rnn": 5.0, "lstm": 38.0, "gru": 50.0, "depth-gated": 25.0, "clockwork": 14.0}
"""The gap at which a cell's accuracy has fallen halfway."""
SOURCE = "class Cell: ...\n"


def record(
    store: Store,
    cell: str = "gru",
    task: str = "gap-copy@1",
    protocol: Protocol = QUICK,
    *,
    repetitions: Sequence[int] = (0, 1),
    reach: float | None = None,
    chance: float = 0.125,
    min_gap: int = 0,
    queries: int = 3,
    hidden_size: int = 40,
    diverged: Sequence[tuple[int | None, float, int]] = (),
    only: Sequence[int] | None = None,
    source: str = SOURCE,
) -> None:
    """Record an entry's runs.

    diverged: (gap, learning rate, repetition) of those that did
    only: fixed-gap: the gaps that are finished yet
    source: the cell's
    """
    name, version = cell.partition("[")[0], hashlib.sha256(source.encode()).hexdigest()[:12]
    named, _, number = task.partition("@")
    reach = reach or REACH.get(name, 20.0)
    scored = protocol.evaluated(min_gap)
    for gap in (None,) if protocol.train == "mixed" else only or scored:
        results = []
        for lr in protocol.lr:
            for repetition in repetitions:
                request = RunRequest(
                    cell=cell, cell_name=name, cell_version=version, task=task, protocol=protocol.id,
                    division=protocol.division, repetition=repetition, lr=lr, gap=gap,
                    hidden_size=protocol.hidden_size or hidden_size, dtype="float32", numerics=1,
                )  # fmt: skip
                failed = (gap, lr, repetition) in diverged
                at = scored if gap is None else (gap,)
                results.append(_result(request, at, protocol, reach, chance, queries, failed))
        claim = store.claim([result.request for result in results], owner="here:1:1")
        cards = [
            Card("cell", cell, version, name, f"{name}: a cell.", source, {}),
            Card("task", task, number.partition("[")[0], named, "A task.", "class Task: ...\n", {}),
        ]
        if claim:
            store.record(claim.attempt, results, cards, (protocol.id, protocol.content()))


def _result(
    request: RunRequest,
    gaps: Sequence[int],
    protocol: Protocol,
    reach: float,
    chance: float,
    queries: int,
    failed: bool,
) -> RunResult:
    noise = Stream("synthetic", request.key)
    n = queries * protocol.rows
    far = 2.0 if request.gap is None else 1.0  # what is held lasts longer than what is found
    scores = []
    for split in ("validation", "test"):
        for gap in gaps:
            octaves = (
                math.log2(max(gap, 0.5) / (far * reach))
                + 0.5 * float(noise.uniform(1)[0])
                + (request.lr < 0.01) / 4
            )
            right = round(n * (chance + (1 - chance) / (1 + math.exp(3 * octaves))))
            scores.append(Score(split, gap, n, None if failed else right, chance, protocol.extrapolated(gap)))
    test = [score for score in scores if score.split == "test"]
    accuracy = [chance if s.n_correct is None else s.n_correct / s.n for s in test]
    area = float(gap_auc([s.gap for s in test], accuracy, chance))
    checks = range(32, protocol.updates + 1, 32)
    curve = [Point(u, 2.1 * math.exp(-u / 300), 1 - (1 - chance) * math.exp(-u / 300)) for u in checks]
    return RunResult(
        request=request, outcome="diverged" if failed else "finished", outcome_update=312 if failed else None,
        reason=None, cell_parameters=7_920, state_floats=request.hidden_size, seconds=1.25,
        updates=312 if failed else protocol.updates, updates_to_solve=None,
        gap_auc=None if math.isnan(area) else area,
        provenance={"device": "cpu", "torch": "2.11", "host": "desk"},
        scores=scores, curve=[] if failed else curve,
    )  # fmt: skip


def fill(store: Store) -> None:
    """Seven cells, among them one of a long name, on two tasks, fixed-gap and mixed-gap."""
    cells = [*REACH, "lstm[layers=2]", "my-very-long-experimental-cell-name[forget_bias=1.5,layers=3]"]
    for cell in cells:
        for protocol in (QUICK, QUICK_MIXED):
            record(store, cell, protocol=protocol)
            record(store, cell, "nl-birthplace@2", protocol, chance=0.05, min_gap=12)


def fill_suite(store: Store, repetitions: Mapping[str, int], protocol: Protocol = QUICK_MIXED) -> None:
    """Cells on the whole suite, each with so many repetitions; the vanilla RNN carries more state."""
    for cell, n in repetitions.items():
        for task in map(find_task, suite()):
            record(
                store, cell, task.id, protocol, repetitions=range(n), chance=task.chance(16),
                min_gap=task.min_gap, hidden_size=100 if cell == "rnn" else 40,
            )  # fmt: skip


def made_up(repetitions: Sequence[int]) -> tuple[list[RunResult], list[Card], tuple[str, dict[str, Any]]]:
    """A population's results, one for each repetition, with what the store wants to have with them."""
    request = RunRequest(
        cell="gru", cell_name="gru", cell_version="1", task="gap-copy@1", protocol=QUICK.id,
        division="closed", repetition=0, lr=0.01, gap=16, hidden_size=40, dtype="float32", numerics=1,
    )  # fmt: skip
    requests = [replace(request, repetition=repetition) for repetition in repetitions]
    results = [_result(one, (16,), QUICK, REACH["gru"], 0.125, 3, failed=False) for one in requests]
    cards = [
        Card("cell", "gru", "1", "gru", "A cell.", SOURCE, {}),
        Card("task", "gap-copy@1", "1", "gap-copy", "A task.", "class Task: ...\n", {}),
    ]
    return results, cards, (QUICK.id, QUICK.content())
