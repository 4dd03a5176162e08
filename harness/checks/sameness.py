"""Checks of the streams that samples are drawn from: the same bytes for ever, and no two streams alike."""

import hashlib
import inspect
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from harness.checks.check import Found
from harness.task import SPLITS, Batch, Split, Task

GOLDEN = "golden.json"
"""Beside the module of a task: the digest of every id whose samples are pinned."""
ROWS = 512
STREAMS: tuple[tuple[Split, int, int], ...] = (
    *((split, 0, 0) for split in SPLITS),
    ("train", 1, 0),
    ("train", 0, 1),
)
"""Split, repetition and index of batches that are compared with each other."""


def arrays(batch: Batch) -> dict[str, NDArray[Any]]:
    """A batch's arrays by name."""
    return {name: getattr(batch, name) for name in ("inputs", "targets", "queries", "roles")}


def digest(task: Task) -> str:
    """A hash of some of a task's batches, the same on every machine and under every library version."""
    found = hashlib.sha256()
    for split in SPLITS:
        for gap in (task.min_gap, task.min_gap + 21, task.min_gap + 100):
            for name, array in arrays(task.batch(split, 1, gap, 2, 17)).items():
                kind = "<f8" if np.issubdtype(array.dtype, np.floating) else "<i8"
                found.update(f"{name}{array.shape}".encode() + array.astype(kind).tobytes())
    return found.hexdigest()


def golden(task: Task) -> Mapping[str, str]:
    """The digests pinned beside the task's module, by id; none where there is no such file."""
    path = Path(inspect.getfile(type(task))).with_name(GOLDEN)
    pinned: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return pinned


def same_bytes(task: Task) -> Found:
    """Whether batches are drawn again just as they were, whatever the global generators have seen since, and
    as they are pinned for this version.
    """
    drawn = digest(task)
    with _disturbed():
        again = digest(task)
    if again != drawn:
        return Found(
            "failed", "the same arguments give other bytes", {"digest": drawn}, f"{drawn}, then {again}"
        )
    pinned = golden(task).get(task.id)
    if pinned is None:
        return Found(
            "passed", f"twice the same; not pinned: {drawn[:12]}", {"digest": drawn, "pinned": False}
        )
    if pinned != drawn:
        case = f"pinned {pinned}, drawn {drawn}: another version is due"
        return Found("failed", "the samples of this version have changed", {"digest": drawn}, case)
    return Found("passed", f"twice the same, and as pinned: {drawn[:12]}", {"digest": drawn, "pinned": True})


@contextmanager
def _disturbed() -> Iterator[None]:
    """The global generators somewhere else, in here."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def disjoint(task: Task) -> Found:
    """How often two rows of different batches are alike, against how often two of one batch are."""
    gap = task.min_gap + 40
    counts = []
    for split, repetition, index in STREAMS:
        inputs = task.batch(split, repetition, gap, index, ROWS).inputs
        counts.append(Counter(row.tobytes() for row in inputs.swapaxes(0, 1)))
    within = sum(comb(n, 2) for each in counts for n in each.values())
    pairs = {
        (STREAMS[a], STREAMS[b]): sum(n * counts[b][row] for row, n in counts[a].items())
        for a, b in combinations(range(len(STREAMS)), 2)
    }
    across = sum(pairs.values())
    expected = len(pairs) * ROWS**2 / (len(pairs) * ROWS**2 + len(STREAMS) * comb(ROWS, 2))
    figures = {"across": across, "within": within, "rows": ROWS * len(STREAMS)}
    if across and binom.sf(across - 1, across + within, expected) < 0.001:
        (one, other), alike = max(pairs.items(), key=lambda pair: pair[1])
        case = f"gap {gap}: {alike} rows of batch {one} (split, repetition, index) are in {other} too"
        return Found("failed", f"{across} rows of one batch are in another", figures, case)
    return Found(
        "passed", f"of {ROWS * len(STREAMS):,} rows {across} pairs are alike across batches", figures
    )
