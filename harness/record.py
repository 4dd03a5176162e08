"""What is recorded of a population: runs with their scores and provenance, and the cards of cell and task."""

import inspect
import math
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness.executors import Failed, Job, Outcome
from harness.plan import Entry
from harness.registry import ROOT, CellSpec
from harness.stats import gap_auc
from harness.store import Card, Point, RunRequest, RunResult, Score
from harness.task import Task

if TYPE_CHECKING:
    from harness.engine import Trained


def run_results(entry: Entry, job: Job, requests: Sequence[RunRequest], outcome: Outcome) -> list[RunResult]:
    """The runs that came of a job: one for each request, whose members the job trained; or that it failed."""
    from harness.engine import Trained

    crash = outcome if isinstance(outcome, Failed) else None
    if isinstance(outcome, Failed):
        share = outcome.seconds / len(job.members)
        trained = [Trained(updates=outcome.update - 1, seconds=share) for _ in job.members]
    else:
        trained = outcome.trained
    members = dict(zip(job.members, trained, strict=True))
    results = []
    for request in requests:
        member = members[request.repetition, request.lr]
        scores = _scores(entry, request.gap, member)
        test = [s for s in scores if s.split == "test"]
        accuracy = [s.chance if s.n_correct is None else s.n_correct / s.n for s in test]
        area = float(gap_auc([s.gap for s in test], accuracy, [s.chance for s in test]))
        results.append(
            RunResult(
                request=request,
                outcome="crashed" if crash else member.outcome,
                outcome_update=crash.update if crash else member.diverged_at,
                reason=crash.reason if crash else None,
                cell_parameters=entry.cell_parameters,
                state_floats=entry.state_floats,
                updates=member.updates,
                updates_to_solve=member.solved_at,
                gap_auc=None if math.isnan(area) else area,
                seconds=member.seconds,
                provenance={**code(), **outcome.provenance},
                scores=scores,
                curve=[Point(*check) for check in member.checks],
            )
        )
    return results


def _scores(entry: Entry, gap: int | None, member: "Trained") -> list[Score]:
    """The member's counts; none known where it failed."""
    protocol, task = entry.protocol, entry.task
    gaps = protocol.evaluated(task.min_gap) if gap is None else (gap,)
    asked = {g: protocol.rows * len(task.batch("test", 0, g, 0, 1).queries) for g in gaps}
    counts = {place: count.n_correct for place, count in member.counts.items()}
    return [
        Score(split, g, asked[g], counts.get((split, g)), task.chance(g), protocol.extrapolated(g))
        for split in ("validation", "test")
        for g in gaps
    ]


def cell_card(spec: CellSpec) -> Card:
    """What a page shows of the cell."""
    options = {**spec.options, **({"layers": spec.layers} if spec.layers != 1 else {})}
    doc = inspect.getdoc(inspect.getmodule(spec.cls)) or inspect.getdoc(spec.cls) or ""
    return Card("cell", spec.id, spec.file.version, spec.name, doc, spec.file.recorded, options)


def task_card(task: Task) -> Card:
    """What a page shows of the task."""
    cls = type(task)
    doc, source = inspect.getdoc(cls) or "", inspect.getsource(cls)
    return Card("task", task.id, str(task.version), task.name, doc, source, task.options)


@cache
def code() -> dict[str, Any]:
    """The version of this package: its release, and the commit where it runs from a checkout."""
    try:
        release = version("recurrent-harness")
    except PackageNotFoundError:
        release = "unknown"

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None
    dirty = bool(git("status", "--porcelain", "--untracked-files=no")) if commit else False
    return {"release": release, "commit": commit, "dirty": dirty}
