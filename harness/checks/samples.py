"""Checks of single batches: their shapes, their answers, and what tells that an answer is due."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import chisquare

from harness.checks.check import Found
from harness.checks.rows import answer, gaps_tried, question_start, shown, solved
from harness.errors import UserError
from harness.streams import Ints
from harness.task import SPLITS, Batch, Classes, Reals, Role, Task, Tokens

SINGLES = 30
"""Batches of one row for each class, to see that extras are at random."""


def layout(task: Task) -> Found:
    """Shapes, types and roles of batches; the same length in every repetition; the smallest gap."""
    for gap in gaps_tried(task, 64):
        for split in SPLITS:
            batch = task.batch(split, 0, gap, 1, 7)
            for fault in faults(task, batch, gap, 7):
                return Found(
                    "failed", "a batch is not what it should be", case=f"{split}, gap {gap}: {fault}"
                )
            other = task.batch(split, 1, gap, 1, 7)
            if len(other.inputs) != len(batch.inputs) or (other.queries != batch.queries).any():
                case = f"{split}, gap {gap}: repetitions 0 and 1 differ in length or queries"
                return Found("failed", "repetitions cannot train side by side", case=case)
    below = task.min_gap - 1
    try:
        task.batch("train", 0, below, 0, 4)
    except UserError as error:
        if str(task.min_gap) in str(error):
            return Found("passed", f"smallest gap {task.min_gap}", {"min_gap": task.min_gap})
        return Found("failed", "the error does not name the smallest gap", case=f"gap {below}: {error}")
    return Found("failed", "a gap below the smallest is no error", case=f"gap {below}")


def faults(task: Task, batch: Batch, gap: int, size: int) -> Iterator[str]:
    """What is wrong with the shapes, types and roles of a batch of `size` rows."""
    steps, queries, roles = len(batch.inputs), batch.queries, batch.roles
    if isinstance(task.inputs, Tokens):
        if batch.inputs.shape != (steps, size) or batch.inputs.dtype != np.int64:
            yield f"inputs are {batch.inputs.dtype} {batch.inputs.shape}, not int64 (T, {size})"
        elif not 0 <= batch.inputs.min() <= batch.inputs.max() < task.inputs.size:
            yield f"a token is outside the vocabulary of {task.inputs.size}"
    else:
        assert isinstance(task.inputs, Reals)
        if batch.inputs.shape != (steps, size, task.inputs.size) or batch.inputs.dtype.kind != "f":
            yield f"inputs are {batch.inputs.dtype} {batch.inputs.shape}, not reals (T, {size}, D)"
    if batch.targets.shape != (len(queries), size):
        yield f"targets are {batch.targets.shape}, not ({len(queries)}, {size})"
    elif isinstance(task.output, Classes):
        if batch.targets.dtype != np.int64:
            yield f"targets are {batch.targets.dtype}, not int64"
        elif not 0 <= batch.targets.min() <= batch.targets.max() < task.output.size:
            yield f"a target is none of the {task.output.size} classes"
    if queries.dtype != np.int64 or not len(queries) or (np.diff(queries) <= 0).any() or queries[-1] >= steps:
        yield f"queries {queries} are no rising times below {steps}"
        return
    if roles.shape != (steps, size) or roles.dtype != np.int8 or not set(np.unique(roles)) <= set(Role):
        yield f"roles are {roles.dtype} {roles.shape}, not int8 ({steps}, {size}) of Role"
        return
    asked, start = roles == Role.QUESTION, question_start(batch)
    if (asked != asked[:, :1]).any() or not asked[start : queries[-1] + 1].all() or asked[:start].any():
        yield "the question is not the same times in all rows, up to the last query"
    if not start <= queries[0]:
        yield f"time {queries[0]} is a query before the question"
    if (roles[start:] == Role.CUE).any():
        yield "a cue stands in the question"
    if not (roles == Role.CUE).any(axis=0).all():
        yield "a row has no cue"


def oracle(task: Task) -> Found:
    """The oracle's answers, from inputs and queries alone, against the targets."""
    count = 0
    for gap in gaps_tried(task):
        for split in SPLITS:
            batch = task.batch(split, 1, gap, 3, 64 if gap <= 64 else 16)
            answers = solved(task, batch)
            wrong = np.argwhere(~np.isclose(answers, batch.targets, rtol=0, atol=1e-9))
            count += answers.size
            if len(wrong):
                query, row = wrong[0]
                case = (
                    f"{split}, gap {gap}: the oracle says {answer(task, answers[query, row])}, the target is "
                    f"{answer(task, batch.targets[query, row])} of: {shown(task, batch, row)}"
                )
                measured = f"wrong in {len(wrong)} of {answers.size}"
                return Found("failed", measured, {"answers": answers.size, "wrong": len(wrong)}, case)
    return Found("passed", f"right in all of {count:,}", {"answers": count, "wrong": 0})


def balance(task: Task) -> Found:
    """How far the counts of the answers differ within a batch; which answers the extras are."""
    if not isinstance(task.output, Classes):
        return Found("reported", "answers are real numbers")
    classes = task.output.size
    for gap in (task.min_gap, task.min_gap + 17):
        for size in (classes + 1, 64, 2 * classes - 1):
            batch = task.batch("train", 0, gap, 5, size)
            for query, answers in enumerate(batch.targets):
                counts = np.bincount(answers, minlength=classes)
                if np.ptp(counts) > 1:
                    case = f"train, gap {gap}, {size} rows, query {query}: " + ", ".join(
                        f"{name} {n}" for name, n in zip(task.output.names, counts, strict=True)
                    )
                    figures = {"least": int(counts.min()), "most": int(counts.max())}
                    return Found("failed", f"{counts.min()} to {counts.max()} of an answer", figures, case)
    for repetition in (0, 1):  # what is rare by chance is not there again
        p, worst = _extras(task, classes, repetition)
        if p >= 0.001:
            return Found("passed", f"counts differ by at most 1, extras at random (p {p:.2f})", {"p": p})
    case = f"in {worst.sum()} batches of one row the answers are, in order: {worst.tolist()}"
    return Found("failed", "extras are not at random", {"p": p}, case)


def _extras(task: Task, classes: int, repetition: int) -> tuple[float, Ints]:
    """How likely it is that answers of batches of one row are as uneven as these, and their counts, of the
    query where they are most so.
    """
    batches = [task.batch("train", repetition, task.min_gap, i, 1) for i in range(SINGLES * classes)]
    answers = np.stack([batch.targets[:, 0] for batch in batches], axis=1)  # (Q, batches)
    counts = np.stack([np.bincount(each, minlength=classes) for each in answers])
    p = chisquare(counts, axis=1).pvalue
    return min(1.0, float(p.min()) * len(counts)), counts[p.argmin()]


def question(task: Task) -> Found:
    """Whether a stretch between cue and question looks just like the question, up to the first query."""
    for gap in gaps_tried(task, 64):
        batch = task.batch("train", 0, gap, 6, 32)
        start, first = question_start(batch), int(batch.queries[0])
        if first < start:
            return Found("undecided", "there is a query before the question")
        asked = batch.inputs[start : first + 1]
        cues = batch.roles == Role.CUE
        after = len(cues) - int(cues[::-1].argmax(axis=0).min())
        for t in range(after, start - len(asked) + 1):
            same = batch.inputs[t : t + len(asked)] == asked
            rows = np.flatnonzero(same.reshape(*same.shape[:2], -1).all(axis=(0, 2)))
            if len(rows):
                case = f"train, gap {gap}, from time {t}: {shown(task, batch, rows[0])}"
                return Found("failed", "the filler looks like the question", case=case)
    return Found("passed", "nothing after the cue looks like it")


def clock(task: Task) -> Found:
    """Whether a feature of the filler tells the time: the same in all rows, and not at all times."""
    gap = task.min_gap + 17
    batch = task.batch("train", 0, gap, 7, 256)
    filler = batch.inputs[(batch.roles == Role.FILLER).all(axis=1)]
    features = filler.reshape(*filler.shape[:2], -1)  # (T, B, F)
    for number, feature in enumerate(np.moveaxis(features, 2, 0)):
        alike = feature[(feature == feature[:, :1]).all(axis=1), 0]
        if 2 * len(alike) > len(feature) and len(np.unique(alike)) > 1:
            case = f"train, gap {gap}, feature {number} of the filler is, in all rows: {alike.tolist()}"
            return Found("failed", "an input tells the time", case=case)
    return Found("passed", "no input of the filler tells the time")
