"""Plan → train → evaluate → record: the whole way from a request to results in the store."""

import inspect
import math
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from harness.errors import BrokenFile, UserError, unknown
from harness.executors import EngineName, Failed, Job, Outcome, Pool, divide
from harness.protocol import Protocol, find_protocol
from harness.registry import ROOT, CellSpec, cell_files, find_cell, find_task, suite
from harness.stats import gap_auc
from harness.store import Card, Point, RunRequest, RunResult, Score, Store
from harness.task import Task

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import torch

    from harness.engine import Progress, Trained

ATTEMPTS = 3
"""A run that was killed, timed out or ran out of memory so often is tried again with `retry` only."""
BEAT_SECONDS = 5.0


class Event(NamedTuple):
    """Something happened to a population: number `number` of `populations`."""

    number: int
    populations: int
    label: str
    kind: Literal["begin", "progress", "note", "end"]
    progress: "Progress | None" = None
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """A cell on a task under a protocol: one curve, and every run it needs."""

    spec: CellSpec
    task: Task
    protocol: Protocol
    hidden_size: int
    cell_parameters: int
    state_floats: int
    requests: tuple[RunRequest, ...]

    @property
    def keys(self) -> list[str]:
        """The keys of its runs."""
        return [request.key for request in self.requests]


@dataclass
class Results:
    """What a request led to, read from the store."""

    store: Store
    entries: list[Entry]
    reused: set[str] = field(default_factory=set)
    """The keys of runs that were there before."""
    unfinished: list[str] = field(default_factory=list)
    """What could not be finished, and why: a line each."""

    def rows(self) -> list[dict[str, Any]]:
        """A plain object per cell and task, ready for JSON: the curve, gap-AUC, horizon, and what it took."""
        from harness.stats import entries

        reused = {(e.spec.id, e.task.id): len(self.reused.intersection(e.keys)) for e in self.entries}
        rows = entries(self.scores(), self.runs())
        return [{**row, "reused": reused[row["cell"], row["task"]]} for row in rows]

    def frame(self) -> "pd.DataFrame":
        """The curves: a row per cell, task and gap, at the learning rate selected on validation."""
        from harness.stats import curves

        return curves(self.scores())

    def chart(self) -> "alt.TopLevelMixin":
        """The curves, drawn."""
        from harness.charts import curve_chart

        return curve_chart(self.frame())

    def scores(self) -> "pd.DataFrame":
        """A row per run, split and gap."""
        return self.store.scores(keys=self._keys())

    def runs(self) -> "pd.DataFrame":
        """A row per run."""
        return self.store.runs(keys=self._keys())

    def _keys(self) -> list[str]:
        return [key for entry in self.entries for key in entry.keys]


def run(
    cell: str | Sequence[str],
    task: str | Sequence[str],
    protocol: str = "quick",
    *,
    train: Literal["fixed", "mixed"] | None = None,
    gaps: Sequence[int] | None = None,
    updates: int | None = None,
    lr: Sequence[float] | None = None,
    hidden_size: int | None = None,
    repetitions: int | None = None,
    db: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    memory: int | None = None,
    retry: bool = False,
    report: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Train and score cells on tasks; what the store has already is not done again.

    cell, task: ids, or `all` for every cell and for the suite
    protocol: a protocol's name; train, gaps, updates, lr and hidden_size vary it
    repetitions: how many; the protocol's own number if left out
    db: URL or path of the store; `HARNESS_DB`, else `results.db` in the current folder, if left out
    device: `auto`, `cpu`, `cuda` or `cuda:n`
    engine: `auto`, `reference`, `eager` or `compiled`
    memory: bytes that training may use for what it keeps for the backward pass
    retry: try again what was given up
    Raises UserError before anything is trained when the request makes no sense. Of several cells, one that is
    broken is told of in `unfinished`, and the others run.

    >>> import harness
    >>> results = harness.run(cell="gru", task="gap-copy")  # doctest: +SKIP
    >>> results.chart()  # doctest: +SKIP
    """
    changes = {
        "gaps": None if gaps is None else tuple(sorted(set(gaps))),
        "updates": updates,
        "lr": None if lr is None else tuple(sorted(set(lr))),
        "hidden_size": hidden_size,
        "repetitions": repetitions,
    }
    rules = find_protocol(protocol, train).vary(**{k: v for k, v in changes.items() if v is not None})
    if engine not in get_args(EngineName):
        raise unknown("engine", engine, get_args(EngineName))
    tasks = [find_task(text) for text in _expand(task, suite)]
    for gap, one in product(gaps or (), tasks):
        one.require(gap)
    store = Store.open(db)
    with Pool(engine, memory) as pool:
        if device == "cpu" or not Path("/dev/nvidiactl").exists():
            pool.start("cpu")  # the workers import torch while this process does
        cells, refused = _found(_expand(cell, cell_files))
        where = find_device(device)
        entries: dict[tuple[str, str], Entry] = {}
        for spec in cells:
            try:
                entries |= {(spec.id, task.id): plan(spec, task, rules) for task in tasks}
            except UserError as error:
                refused.append(str(error))
        if refused and not entries:
            raise UserError(refused[0])
        results = Results(store, list(entries.values()), unfinished=refused)
        jobs = _missing(results, retry)
        if jobs:
            pool.start(str(where))
            _execute(divide(jobs, pool.size), pool, results, report)
    return results


def _found(names: Iterable[str]) -> tuple[list[CellSpec], list[str]]:
    """The cells of these names, and why those that are broken cannot be had."""
    cells, broken = [], []
    for name in names:
        try:
            cells.append(find_cell(name))
        except BrokenFile as error:
            broken.append(str(error))
    return cells, broken


def plan(spec: CellSpec, task: Task, protocol: Protocol) -> Entry:
    """All the runs of one curve. Raises UserError when the cell cannot be built within the protocol."""
    from harness.cell import count_parameters
    from harness.engine import NUMERICS
    from harness.model import build, solve_width, state_floats

    gaps: Iterable[int | None] = (None,) if protocol.train == "mixed" else protocol.evaluated(task.min_gap)
    hidden_size = protocol.hidden_size or solve_width(spec, protocol.budget)
    with spec.refusals():
        cell = build(spec, task, hidden_size, 0).cell
        parameters, floats = count_parameters(cell), state_floats(cell)
    requests = tuple(
        RunRequest(
            cell=spec.id,
            cell_name=spec.name,
            cell_version=spec.file.version,
            task=task.id,
            protocol=protocol.id,
            division=protocol.division,
            repetition=repetition,
            lr=lr,
            gap=gap,
            hidden_size=hidden_size,
            dtype="float32",
            numerics=NUMERICS,
        )
        for gap in gaps
        for lr in protocol.lr
        for repetition in range(protocol.repetitions)
    )
    return Entry(spec, task, protocol, hidden_size, parameters, floats, requests)


def _expand(asked: str | Sequence[str], everything: Callable[[], Iterable[str]]) -> list[str]:
    names = [asked] if isinstance(asked, str) else list(asked)
    return [name for text in names for name in (everything() if text == "all" else [text])]


def _missing(results: Results, retry: bool) -> list[Job]:
    """Populations of all runs that are neither done nor given up: one for each entry and gap."""
    keys = [key for entry in results.entries for key in entry.keys]
    results.reused = results.store.finished(keys)
    failures = {} if retry else results.store.failures(keys)
    jobs = []
    for entry in results.entries:
        left = [r for r in entry.requests if r.key not in results.reused]
        given_up = {r.key for r in left if len(failures.get(r.key, ())) >= ATTEMPTS}
        if given_up:
            results.unfinished.append(
                f"{entry.spec.id} on {entry.task.id}: {len(given_up)} runs are given up after {ATTEMPTS} "
                f"attempts (the last: {failures[min(given_up)][-1]}); --retry tries them again"
            )
        for gap in dict.fromkeys(r.gap for r in left):
            members = tuple((r.repetition, r.lr) for r in left if r.gap == gap and r.key not in given_up)
            if members:
                jobs.append(_job(entry, gap, members))
    return jobs


def _job(entry: Entry, gap: int | None, members: tuple[tuple[int, float], ...]) -> Job:
    protocol, task = entry.protocol, entry.task
    sampled = range(1, protocol.updates + 1, max(1, protocol.updates // 50))
    gaps = [protocol.training_gap(task.id, task.min_gap, u) for u in sampled] if gap is None else [gap]
    length = sum(len(task.batch("train", 0, g, 0, 1).inputs) for g in gaps) / len(gaps)
    return Job(
        cell=entry.spec.reference,
        cell_version=entry.spec.file.version,
        task=task.id,
        protocol=asdict(protocol),
        hidden_size=entry.hidden_size,
        gap=gap,
        members=members,
        cost=length * protocol.updates * len(members),
    )


def _execute(jobs: Sequence[Job], pool: Pool, results: Results, report: Callable[[Event], None]) -> None:
    """Train populations; record the runs of each, or how the attempt at them failed."""
    store = results.store
    owner = f"{socket.gethostname()}:{os.getpid()}:{int(time.time())}"
    entries = {(e.spec.reference, e.task.id): e for e in results.entries}
    attempts: dict[int, int] = {}
    beaten: dict[int, float] = {}
    try:
        for number, kind, content in pool.run(jobs):
            job = jobs[number]
            entry = entries[job.cell, job.task]
            requests = [r for r in entry.requests if r.gap == job.gap and (r.repetition, r.lr) in job.members]
            label = f"{entry.spec.id} · {entry.task.name}" + ("" if job.gap is None else f" · gap {job.gap}")
            if kind == "begin":
                attempts[number], beaten[number] = store.begin(requests, owner=owner), time.monotonic()
                report(Event(number, len(jobs), label, "begin"))
            elif kind == "note":
                report(Event(number, len(jobs), label, "note", note=content))
            elif kind == "progress":
                report(Event(number, len(jobs), label, "progress", content))
                if time.monotonic() - beaten[number] > BEAT_SECONDS:
                    beaten[number] = time.monotonic()
                    store.beat(attempts[number], content.update / content.updates)
            else:
                if isinstance(content, Failed) and content.outcome != "crashed":
                    store.end(attempts[number], content.outcome, content.reason)
                    results.unfinished.append(f"{label}: {content.outcome}: {content.reason}")
                else:
                    made = _results(entry, job, requests, content)
                    cards = [cell_card(entry.spec), task_card(entry.task)]
                    protocol = (entry.protocol.id, entry.protocol.content())
                    store.record(attempts[number], made, cards, protocol)
                del attempts[number]  # only now: an interrupt before this line ends the attempt too
                report(Event(number, len(jobs), label, "end"))
    except KeyboardInterrupt:
        for attempt in attempts.values():
            store.end(attempt, "interrupted")
        raise


def find_device(name: str) -> "torch.device":
    """The device that `auto`, `cpu`, `cuda` or `cuda:n` means. Raises UserError where it is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"unknown device {name!r}: write auto, cpu, cuda or cuda:n")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name} is not here: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _results(entry: Entry, job: Job, requests: Sequence[RunRequest], outcome: Outcome) -> list[RunResult]:
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
