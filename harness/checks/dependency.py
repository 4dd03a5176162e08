"""What an answer hangs on, measured: each token replaced by what may stand for it.

Letters: T time, N replacements, Q queries.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checks.check import Found
from harness.checks.rows import answer, gaps_tried, question_start, shown, solved
from harness.streams import Ints, Stream
from harness.task import Batch, Role, Task

TOKENS = 1 << 22
"""Tokens of changed rows that the oracle reads at every gap."""
MOST = 64
"""Alternatives tried of a token in the cue; of others fewer, where rows are long."""


@dataclass(frozen=True)
class Dependency:
    """What became of the answers of a row when one token was replaced.

    times: (N,) of the token replaced; others: (N, …) what was put there; answers: (Q, N); changes: (Q, N)
    """

    times: Ints
    others: NDArray[Any]
    answers: NDArray[Any]
    changes: NDArray[np.bool_]

    def cue(self, before: int) -> Ints:
        """The times, before this one, at which a replacement changes an answer."""
        found = np.unique(self.times[self.changes.any(axis=0)])
        return found[found < before]


def measure(task: Task, batch: Batch, row: int, stream: Stream, most: int = MOST) -> Dependency:
    """Replace each token of a row before the question (of a streaming task, before the last query) by its
    alternatives, at most so many of them. Raises ValueError when one of these is the token itself.
    """
    end = int(batch.queries[-1]) if task.streaming else question_start(batch)
    times, others = [], []
    for t in range(end):
        found = task.alternatives(batch, row, t)
        if len(found) and (found == batch.inputs[t, row]).reshape(len(found), -1).all(axis=1).any():
            raise ValueError(f"the token at time {t} is an alternative to itself")
        limit = MOST if batch.roles[t, row] == Role.CUE else most
        if len(found) > limit:
            found = found[stream.choose(len(found), limit, 1)[0]]
        times += [t] * len(found)
        others += list(found)
    columns = np.full(len(times), row)
    changed = Batch(
        batch.inputs[:, columns].copy(), batch.targets[:, columns], batch.queries, batch.roles[:, columns]
    )
    changed.inputs[times, np.arange(len(times))] = np.array(others).reshape(changed.inputs[0].shape)
    answers = solved(task, changed)
    return Dependency(np.array(times), np.array(others), answers, answers != changed.targets)


def dependency(task: Task) -> Found:
    """Whether the cue, and nothing else, changes an answer; and how far away its last token is."""
    count, gaps = 0, gaps_tried(task)
    for gap in gaps:
        batch = task.batch("test", 0, gap, 4, 4)
        rows = 4 if gap <= 64 else 1
        most = max(1, min(MOST, TOKENS // (rows * len(batch.inputs) ** 2)))
        for row in range(rows):
            found = measure(task, batch, row, Stream("check", task.id, gap, row), most)
            count += len(found.times)
            if wrong := fault(task, batch, row, found, gap):
                case = f"test, gap {gap}: {wrong}, of: {shown(task, batch, row)}"
                return Found("failed", "the gap or the cue is not what it is said to be", case=case)
    measured = f"as asked at {' '.join(map(str, gaps))}, by {count:,} replacements"
    return Found("passed", measured, {"gaps": gaps, "replacements": count})


def fault(task: Task, batch: Batch, row: int, found: Dependency, gap: int) -> str:
    """What is wrong with a row's cue; nothing if all is right."""
    start = question_start(batch)
    marked = np.flatnonzero(batch.roles[:start, row] == Role.CUE)
    measured = found.cue(start)
    for t in np.setdiff1d(measured, marked):
        n = int(np.flatnonzero((found.times == t) & found.changes.any(axis=0))[0])
        query = int(found.changes[:, n].argmax())
        role = Role(batch.roles[t, row]).name.lower()
        return (
            f"{_spelled(task, batch, row, t, found.others[n])} at time {t} ({role}) "
            f"makes the answer {answer(task, found.answers[query, n])}, "
            f"not {answer(task, batch.targets[query, row])}"
        )
    for t in np.setdiff1d(marked, measured):
        return f"nothing in place of the cue at time {t} changes an answer"
    if not task.streaming:
        away = int(batch.queries[0]) - int(measured[-1]) - 1
        return f"the last cue is {away} away" if away != gap else ""
    for query, changes in zip(batch.queries, found.changes, strict=True):
        away = int(query) - int(found.times[changes].max(initial=-1)) - 1
        if away != gap:
            return f"what the query at time {query} hangs on is {away} away"
    return ""


def _spelled(task: Task, batch: Batch, row: int, t: int, other: Any) -> str:
    """A token and what was put in its place, as they are written."""
    changed = Batch(batch.inputs.copy(), batch.targets, batch.queries, batch.roles)
    changed.inputs[t, row] = other
    before, after = (task.render(each, row)[t].text for each in (batch, changed))
    return f"{after!r} for {before!r}"
