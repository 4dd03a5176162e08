"""Plan → train → evaluate → record: the whole way from a request to results in the store."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from harness.errors import UserError, unknown
from harness.executors import EngineName, Executor, Failed, Job, Trial, divide, find_executor
from harness.forecast import Forecast, Work, forecast
from harness.plan import Entry, Request, plan
from harness.protocol import Protocol
from harness.record import cell_card, run_results, task_card
from harness.registry import is_foreign
from harness.sharing import Share
from harness.store import RunRequest, Store
from harness.task import Task

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from harness.engine import Progress

ATTEMPTS = 3
"""A run that was killed, timed out or ran out of memory so often is tried again with `retry` only."""


class Event(NamedTuple):
    """Something happened to a population, number `number` of `populations`; or, first of all, `plan`: so many
    will train.
    """

    number: int
    populations: int
    label: str
    kind: Literal["plan", "begin", "progress", "note", "end"]
    progress: "Progress | None" = None
    note: str = ""
    forecast: Forecast | None = None
    """plan: how long they will take, as far as that is known."""


@dataclass
class Results:
    """What a request led to, read from the store."""

    store: Store
    entries: list[Entry]
    reused: set[str] = field(default_factory=set)
    """The keys of runs that this request did not train: they were there, or another driver did meanwhile."""
    unfinished: list[str] = field(default_factory=list)
    """What could not be finished, and why: a line each."""

    def rows(self) -> list[dict[str, Any]]:
        """A plain object per curve, ready for JSON: accuracy by gap, gap-AUC, horizon, and what it took."""
        from harness.stats import entries

        reused = {e.id: len(self.reused.intersection(e.keys)) for e in self.entries}
        rows = entries(self.scores(), self.runs())
        return [{**row, "reused": reused[row["cell"], row["task"], row["protocol"]]} for row in rows]

    def frame(self) -> "pd.DataFrame":
        """The curves: a row per cell, task, protocol and gap, at the learning rate selected on validation."""
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

    def title(self) -> str:
        """What was asked for, in a few words."""
        cells, tasks = ({e.spec.id for e in self.entries}, {e.task.id for e in self.entries})
        return " on ".join(
            next(iter(ids)) if len(ids) == 1 else f"{len(ids)} {kind}"
            for kind, ids in (("cells", cells), ("tasks", tasks))
        )

    def of(self, job: Job) -> tuple[Entry, list[RunRequest]]:
        """The entry that a job is of, and the runs that it makes, one for each member."""
        entry = self._entries[job.cell, job.task, Protocol(**job.protocol).id]
        member = {(r.repetition, r.lr): r for r in entry.requests if r.gap == job.gap}
        return entry, [member[one] for one in job.members]

    def label(self, job: Job) -> str:
        """A population in words; with its protocol where there are several."""
        entry, _ = self.of(job)
        parts = [entry.spec.id, entry.task.name, *([entry.protocol.id] if self._several else [])]
        return " · ".join([*parts, *([] if job.gap is None else [f"gap {job.gap}"])])

    @cached_property
    def _several(self) -> bool:
        return len({entry.protocol.id for entry in self.entries}) > 1

    @cached_property
    def _entries(self) -> dict[tuple[str, str, str], Entry]:
        return {(e.spec.reference, e.task.id, e.protocol.id): e for e in self.entries}

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
    timeout: float | None = None,
    executor: str = "local",
    address: str | None = None,
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
    memory: bytes that training may use for what it keeps for the backward pass, on each machine
    timeout: seconds that a population may take; what takes longer is ended, and tried again another time
    executor: `local`, or `ray`
    address: of the Ray cluster; a Ray of our own on this machine if left out
    retry: try again what was given up
    Raises UserError before anything is trained when the request makes no sense. Of several cells, one that is
    broken is told of in `unfinished`, and the others run.

    >>> import harness
    >>> results = harness.run(cell="gru", task="gap-copy")  # doctest: +SKIP
    >>> results.chart()  # doctest: +SKIP
    """
    request = Request.of(
        cell, task, protocol,
        train=train, gaps=gaps, updates=updates, lr=lr, hidden_size=hidden_size, repetitions=repetitions,
    )  # fmt: skip
    return run_all(
        [request], db=db, device=device, engine=engine, memory=memory, timeout=timeout, executor=executor,
        address=address, retry=retry, report=report,
    )  # fmt: skip


def run_all(
    requests: Sequence[Request],
    *,
    name: str | None = None,
    db: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    memory: int | None = None,
    timeout: float | None = None,
    executor: str = "local",
    address: str | None = None,
    retry: bool = False,
    report: Callable[[Event], None] = lambda event: None,
) -> Results:
    """Train and score what all these requests ask for as one plan: by the same workers, the longest first.

    What is asked for twice is done once. For the rest see `run`.

    name: what who asks how far it is calls it
    """
    if engine not in get_args(EngineName):
        raise unknown("engine", engine, get_args(EngineName))
    if timeout is not None and not timeout > 0:
        raise UserError(f"timeout={timeout:g}: must be above 0 seconds")
    store = Store.open(db)
    with find_executor(executor, engine, memory, timeout, address) as pool:
        pool.start(device, sum(request.most for request in requests))  # they import torch meanwhile
        requests, lost = _tried(pool, requests)
        entries, refused = plan(requests)
        if lost and not entries:
            raise UserError(lost[0])
        results = Results(store, entries, unfinished=[*lost, *refused])
        jobs = _missing(results, retry)
        if jobs:
            jobs = divide(jobs, pool.size)
            where = pool.device.partition(":")[0] if executor == "local" else "elsewhere"
            ahead = _forecast(jobs, results, where, pool.size)
            report(Event(0, len(jobs), "all", "plan", forecast=ahead))
            _execute(jobs, pool, results, report, name or results.title(), _costs(jobs, ahead, results))
    return results


def _tried(pool: Executor, requests: Sequence[Request]) -> tuple[list[Request], list[str]]:
    """The requests without those cells that must not come into this process; and why, a line for each.

    A worker has loaded and built all that are not our own: some hung there, or ended their process.
    """
    trials = list(
        dict.fromkeys(
            Trial(cell, request.protocol.hidden_size, request.protocol.budget)
            for request in requests
            for cell in request.cells
            if is_foreign(cell)
        )
    )
    if not trials:
        return list(requests), []
    import harness.engine  # noqa: F401  # meanwhile

    lost: dict[str, str] = {}
    for number, kind, content in pool.run(trials):
        if kind == "outcome" and isinstance(content, Failed):
            cell = trials[number].cell
            lost[cell] = f"cell {cell} cannot be loaded and built: {content.reason}"
    left = [replace(r, cells=tuple(cell for cell in r.cells if cell not in lost)) for r in requests]
    return left, [lost[cell] for cell in dict.fromkeys(trial.cell for trial in trials) if cell in lost]


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
    protocol = entry.protocol
    return Job(
        cell=entry.spec.reference,
        cell_version=entry.spec.file.version,
        task=entry.task.id,
        protocol=asdict(protocol),
        hidden_size=entry.hidden_size,
        gap=gap,
        members=members,
        cost=_length(entry.task, protocol, gap) * protocol.updates * len(members),
    )


@cache
def _length(task: Task, protocol: Protocol, gap: int | None) -> float:
    """The mean number of steps of a sequence trained on."""
    sampled = range(1, protocol.updates + 1, max(1, protocol.updates // 50))
    gaps = [protocol.training_gap(task.id, task.min_gap, u) for u in sampled] if gap is None else [gap]
    return sum(len(task.batch("train", 0, g, 0, 1).inputs) for g in gaps) / len(gaps)


def _forecast(jobs: Sequence[Job], results: Results, device: str, workers: int) -> Forecast | None:
    """How long the jobs will take."""
    works = []
    for job in jobs:
        e, _ = results.of(job)
        p = e.protocol
        works.append(
            Work(
                cell=e.spec.id, name=e.spec.name, task=job.task, protocol=p.id, gap=job.gap,
                hidden_size=job.hidden_size, parameters=e.cell_parameters, members=len(job.members),
                updates=p.updates, length=_length(e.task, p, job.gap), farthest=job.gap or p.max_gap,
                words=e.task.inputs.size,
            )
        )  # fmt: skip
    past = results.store.took(tasks=list({work.task for work in works}))
    return forecast(works, past, device, workers)


def _costs(jobs: Sequence[Job], ahead: Forecast | None, results: Results) -> dict[str, float]:
    """What each run of a plan costs: its share of its job's seconds or steps; nothing, if no job makes it."""
    costs = dict.fromkeys((key for entry in results.entries for key in entry.keys), 0.0)
    for job, cost in zip(jobs, ahead.seconds if ahead else [job.cost for job in jobs], strict=True):
        _, requests = results.of(job)
        costs |= {request.key: cost / len(requests) for request in requests}
    return costs


def _execute(
    jobs: Sequence[Job],
    pool: Executor,
    results: Results,
    report: Callable[[Event], None],
    name: str,
    costs: Mapping[str, float],
) -> None:
    """Train populations and record them. What other drivers have of them is waited for at the end.

    name, costs: of the plan that they are of
    """
    store = results.store
    wanted = {request.key for job in jobs for request in results.of(job)[1]}
    before = 0
    with Share(store, lambda job: results.of(job)[1]) as share:
        store.plan(name, share.owner, costs)
        try:
            while jobs:
                _train(jobs, pool, share, results, report, before)
                before += len(jobs)

                def waiting(job: Job, why: str, before: int = before) -> None:
                    report(Event(before, before, results.label(job), "note", note=why))

                jobs = divide(share.others(waiting), pool.size)
        finally:
            with suppress(UserError):  # it may be the store that failed
                store.leave_plan(share.owner)
    results.reused |= wanted - share.mine


def _train(
    jobs: Sequence[Job],
    pool: Executor,
    share: Share,
    results: Results,
    report: Callable[[Event], None],
    before: int,
) -> None:
    """Train what of these populations can be claimed; record the runs of each, or how the attempt failed.

    before: populations that there were before these
    """
    claims: dict[int, tuple[int, Job]] = {}

    def claim(number: int) -> Job | None:
        found = share.claim(jobs[number])
        if found is None:
            return None
        claims[number] = found
        return found[1]

    store, whole = results.store, before + len(jobs)
    for number, kind, content in pool.run(jobs, claim):
        attempt, job = claims[number]
        entry, label = results.of(job)[0], results.label(job)
        if kind == "begin":
            report(Event(before + number, whole, label, "begin"))
        elif kind == "note":
            report(Event(before + number, whole, label, "note", note=content))
        elif kind == "progress":
            share.progress[attempt] = content.update / content.updates
            report(Event(before + number, whole, label, "progress", content))
        else:
            if isinstance(content, Failed) and content.output:
                printed = f"printed at last:\n{content.output}"
                report(Event(before + number, whole, label, "note", note=printed))
            if isinstance(content, Failed) and content.outcome != "crashed":
                reason = "\n".join(filter(None, [content.reason, content.output]))
                store.end(attempt, content.outcome, reason)
                results.unfinished.append(f"{label}: {content.outcome}: {content.reason}")
            else:
                made = run_results(entry, job, share.requests(job), content)
                cards = [cell_card(entry.spec), task_card(entry.task)]
                store.record(attempt, made, cards, (entry.protocol.id, entry.protocol.content()))
            share.progress.pop(attempt, None)
            report(Event(before + number, whole, label, "end"))
