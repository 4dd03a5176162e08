"""Rows of a task as the checks look at them.

Letters: T time, B batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.task import Batch, Classes, Role, Task

GAPS = (5, 17, 64, 300, 1000)


def gaps_tried(task: Task, most: int = GAPS[-1]) -> list[int]:
    """The gaps at which a task is checked: its two smallest, and those of `GAPS` within its reach."""
    return sorted({task.min_gap, task.min_gap + 1, *(g for g in GAPS if task.min_gap <= g <= most)})


def solved(task: Task, batch: Batch) -> NDArray[Any]:
    """What the oracle answers (Q, B), without targets and roles. Raises ValueError for another shape."""
    targets, roles = np.full_like(batch.targets, -1), np.full_like(batch.roles, Role.FILLER)
    answers = task.solve(Batch(batch.inputs, targets, batch.queries, roles))
    if answers.shape != targets.shape:
        raise ValueError(f"the oracle gives answers of shape {answers.shape}, not {targets.shape}")
    return answers


def question_start(batch: Batch) -> int:
    """The first time of the question, which is the same in all rows."""
    return int((batch.roles[:, 0] == Role.QUESTION).argmax())


def answer(task: Task, target: float) -> str:
    """How an answer is written; its number, where it is none of the classes."""
    if isinstance(task.output, Classes):
        return dict(enumerate(task.output.names)).get(int(target), f"class {target}")
    return f"{target:.4f}"


def shown(task: Task, batch: Batch, row: int) -> str:
    """The row as text; of a long one the beginning and the end."""
    words = [span.text for span in task.render(batch, row)]
    return " ".join(words if len(words) <= 48 else [*words[:20], "…", *words[-24:]])
