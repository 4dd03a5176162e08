"""A board: the cells of a suite under one protocol, with scores, rank ranges and tie groups.

A repetition counts when it is whole: when every run that the protocol asks for is there, at each learning
rate and gap of each task. The score of a repetition is its mean gap-AUC over the tasks, that of a cell the
mean over its repetitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.protocol import Protocol, command
from harness.stats.measures import FEW, Floats, gap_auc, interval_of
from harness.stats.ranking import compare, compare_tasks, rank_ranges, tie_groups

if TYPE_CHECKING:
    import pandas as pd

FULL = 10
"""Repetitions of a full entry; from five on it is provisional, with fewer it has no rank."""
Status = Literal["full", "provisional", "unranked", "incomplete"]
STATUSES: tuple[Status, ...] = ("full", "provisional", "unranked", "incomplete")


@dataclass(frozen=True)
class Terms:
    """What a board is of: one suite under one protocol, and so one division and one version of each task."""

    suite: str
    """`core@1`."""
    protocol: Protocol
    tasks: Mapping[str, int]
    """Every task's canonical id, in the suite's order, with its smallest gap."""

    def gaps(self, task: str) -> tuple[int, ...]:
        """The gaps at which the protocol scores a task."""
        return self.protocol.evaluated(self.tasks[task])

    @property
    def all_gaps(self) -> tuple[int, ...]:
        """Every gap scored on any task, rising."""
        return tuple(sorted({gap for task in self.tasks for gap in self.gaps(task)}))

    @property
    def smallest(self) -> int:
        """The largest of the tasks' smallest gaps: a horizon that is null lies below it on any task."""
        return max(self.gaps(task)[0] for task in self.tasks)

    def command(self, cell: str, repetitions: int, tasks: Sequence[str] = ("all",)) -> str:
        """The command that makes an entry of the board, or as much of it as is on some of the tasks."""
        return command(cell, tasks, self.protocol.id, repetitions)


class Chosen(NamedTuple):
    """The runs at the selected learning rates."""

    cells: list[tuple[str, int]]
    """Id and hidden size of each cell (C)."""
    runs: NDArray[np.int64]
    """(C, T, trained gaps, R) their numbers, -1 where a repetition is not whole on a task."""


class Standings(NamedTuple):
    """What was measured of every cell of a board, as arrays."""

    chosen: Chosen
    values: Floats
    """(C, T, G, R) normalised accuracy on test at each of all gaps; NaN where there is none."""
    areas: Floats
    """(C, T, R) gap-AUC, NaN where a repetition is not whole on a task."""

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(C, R) whether a repetition is whole, and so counts."""
        return np.asarray(np.isfinite(self.areas).all(1))


def choose(trials: "pd.DataFrame", terms: Terms) -> Chosen:
    """The runs at the learning rates that `select` selects too.

    trials: of the store, under the terms' protocol
    """
    import pandas as pd

    protocol = terms.protocol
    gaps = (np.nan,) if protocol.train == "mixed" else terms.all_gaps
    keys = pd.MultiIndex.from_frame(trials[["cell", "hidden_size"]])
    of, cells = keys.factorize(sort=True)
    places = np.stack(
        [
            of,
            pd.Index(list(terms.tasks)).get_indexer(trials["task"]),
            pd.Index(gaps).get_indexer(trials["gap"]),
            pd.Index(protocol.lr).get_indexer(trials["lr"]),
            trials["repetition"].to_numpy(),
        ]
    )
    known = (places >= 0).all(0)
    at = tuple(places[:, known])
    repetitions = int(trials["repetition"].max()) + 1 if len(trials) else 1
    shape = (len(cells), len(terms.tasks), len(gaps), len(protocol.lr), repetitions)
    accuracy, run = np.full(shape, np.nan), np.full(shape, -1)
    accuracy[at], run[at] = trials["validation"][known], trials["run"][known]
    there = np.isfinite(accuracy)
    every = there.all(3)  # rates are compared on the repetitions that all of them have
    count = every.sum(3)[:, :, :, None]
    mean = np.where(every[:, :, :, None], accuracy, 0).sum(4) / np.maximum(count, 1)
    best = mean.round(12).argmax(3)  # of equals the first, and so the smallest rate
    chosen = np.take_along_axis(run, best[:, :, :, None, None], 3)[:, :, :, 0]
    if protocol.train == "fixed":
        asked = np.array([[gap in terms.gaps(task) for gap in gaps] for task in terms.tasks])
        every |= ~asked[:, :, None]
    return Chosen(list(cells), np.where(every.all(2, keepdims=True), chosen, -1))


def measure(chosen: Chosen, tested: "pd.DataFrame", terms: Terms) -> Standings:
    """What the chosen runs reached on test.

    tested: of the store, of these runs
    """
    cells, tasks, _, repetitions = chosen.runs.shape
    gaps = terms.all_gaps
    values = np.full((cells, tasks, len(gaps), repetitions), np.nan)
    numbers, order = np.unique(chosen.runs, return_index=True)
    place = order[np.searchsorted(numbers, tested["run"])]
    c, t, _, r = np.unravel_index(place, chosen.runs.shape)
    values[c, t, np.searchsorted(gaps, tested["gap"]), r] = tested["reached"]
    areas = np.empty((cells, tasks, repetitions))
    for number, task in enumerate(terms.tasks):
        of = [gaps.index(gap) for gap in terms.gaps(task)]
        areas[:, number] = gap_auc(terms.gaps(task), values[:, number, of].swapaxes(1, 2), 0.0)
    return Standings(chosen, values, areas)


def board(
    standings: Standings, trials: "pd.DataFrame", terms: Terms, random: np.random.Generator
) -> "pd.DataFrame":
    """The board: a row per cell, those with a rank first, then by score.

    Columns: cell, hidden_size; status, `full` from ten repetitions on, `provisional` from five, else
    `unranked`, and `incomplete` without a single whole one; best_rank and worst_rank, tie (the number of its
    group); score, low, high; trained and extrapolated, the score's parts on either side of the largest
    trained gap; repetitions; horizon_gap and horizon_censored, the median over tasks (the lower one of two);
    cell_parameters, state_floats; over all rates runs, failed, reported (not measured here), seconds, device;
    updates_to_solve, the median over the chosen runs; gap_auc, a dict by task, and curve, one of mean
    normalised accuracy by gap; missing, the tasks that lack; command, which makes the entry as it is, and
    completes, which makes more of it: a rank, or a full entry. What is not known is null.
    """
    import pandas as pd

    cells, whole = standings.chosen.cells, standings.whole
    count = whole.sum(1)
    rows = pd.DataFrame(cells, columns=["cell", "hidden_size"]).assign(
        status=np.select([count >= FULL, count >= FEW, count >= 1], STATUSES[:3], STATUSES[3]),
        **_ranks(standings, count, random),
        **_scores(standings, terms),
        repetitions=count,
        **_horizons(standings, terms),
    )
    rows = rows.merge(_costs(trials), on=["cell", "hidden_size"], how="left")
    rows["updates_to_solve"] = _to_solve(standings, trials)
    rows["gap_auc"], rows["curve"] = _by_task(standings, terms), _by_gap(standings, terms)
    rows["missing"] = [
        [task for task in terms.tasks if task not in known] if status == "incomplete" else []
        for status, known in zip(rows["status"], rows["gap_auc"], strict=True)
    ]
    rows["command"], rows["completes"] = _commands(rows, standings, trials, terms)
    order = rows.assign(
        place=rows["status"].map(dict(zip(STATUSES, (0, 0, 1, 2), strict=True))),
        known=-rows["gap_auc"].map(len),
        under=-rows["score"],
    )
    rows = rows.loc[order.sort_values(["place", "under", "known", "cell"]).index]
    return rows.reset_index(drop=True)


def rank_text(row: Any) -> tuple[str, str]:
    """The rank of a row of a board and its tie group, as they are written.

    `2–4`, with a star where it is provisional; a dash where there is none.
    """
    if row.status not in ("full", "provisional"):
        return "–", "–"
    span = f"{row.best_rank}" if row.best_rank == row.worst_rank else f"{row.best_rank}–{row.worst_rank}"
    return span + ("*" if row.status == "provisional" else ""), f"{row.tie}"


def pair(
    standings: Standings, terms: Terms, first: int, second: int, random: np.random.Generator
) -> "pd.DataFrame":
    """Two cells of the standings compared, on each task and over all of them: paired by repetition.

    first, second: their places in the standings
    Columns: task, null for the whole suite; repetitions that both have; first, second, difference, low, high,
    better: `first`, `second`, or null where the data cannot tell. From five repetitions on the intervals hold
    together, those of all tasks 95 % of the time, as does the suite's; with fewer they are the range.
    """
    import pandas as pd

    x = standings.areas[[first, second]]  # (2, T, R)
    rows: list[dict[str, Any]] = []
    difference = x[0] - x[1]
    _, errors, critical = compare_tasks(difference, random)
    for task, both, error in zip(terms.tasks, x.swapaxes(0, 1), errors, strict=True):
        rows.append({"task": task} | _difference(both[:, np.isfinite(both).all(0)], critical * error))
    whole = x.mean(1)
    overall = compare(x, random)
    half = float(overall.critical * overall.error[0, 1])
    rows.append({"task": None} | _difference(whole[:, np.isfinite(whole).all(0)], half))
    columns = ["task", "repetitions", "first", "second", "difference", "low", "high", "better"]
    return pd.DataFrame(rows, columns=columns)


def _difference(both: Floats, half: float) -> dict[str, Any]:
    """both: (2, n) of the repetitions that both have; half: of the interval's width."""
    n = both.shape[1]
    if not n:
        return {"repetitions": 0}
    each = both[0] - both[1]
    mean = float(each.mean())
    low, high = (mean - half, mean + half) if n >= FEW else (float(each.min()), float(each.max()))
    better = None
    if n >= FEW and (low > 0 or high < 0):
        better = "first" if low > 0 else "second"
    first, second = both.mean(1).tolist()
    return {"repetitions": n, "first": first, "second": second, "difference": mean} | {
        "low": low, "high": high, "better": better,
    }  # fmt: skip


def _ranks(standings: Standings, count: NDArray[np.int64], random: np.random.Generator) -> dict[str, Any]:
    import pandas as pd

    whole = np.where(standings.whole[:, None], standings.areas, np.nan)
    ranked = np.flatnonzero(count >= FEW)
    ranked = ranked[np.argsort(-np.nanmean(whole[ranked], axis=(1, 2)), kind="stable")]
    better = compare(whole[ranked], random).better
    found = {}
    names = ("best_rank", "worst_rank", "tie")
    for name, values in zip(names, (*rank_ranges(better), tie_groups(better)), strict=True):
        column = pd.array([pd.NA] * len(count), dtype="Int64")
        column[ranked] = values
        found[name] = column
    return found


def _scores(standings: Standings, terms: Terms) -> dict[str, Any]:
    scores = np.where(standings.whole, standings.areas.mean(1), np.nan)  # (C, R)
    low, high = _intervals(scores, axis=1)
    found = {"score": _mean(scores, 1), "low": low, "high": high}
    protocol = terms.protocol
    gaps = np.array(terms.all_gaps)
    parts = {"trained": gaps <= protocol.max_gap, "extrapolated": gaps >= protocol.max_gap}
    for name, part in parts.items():
        found[name] = np.full(len(scores), np.nan)
        if protocol.train == "mixed" and gaps.max(initial=0) > protocol.max_gap:
            areas = []
            for number, task in enumerate(terms.tasks):
                of = np.isin(gaps, terms.gaps(task)) & part
                areas.append(gap_auc(gaps[of], standings.values[:, number, of].swapaxes(1, 2), 0.0))
            found[name] = _mean(np.where(standings.whole, np.mean(areas, axis=0), np.nan), 1)
    return found


def _horizons(standings: Standings, terms: Terms) -> dict[str, Any]:
    """The median over tasks of the largest gap such that up to it the interval lies above halfway to 1."""
    import pandas as pd

    values = np.where(standings.whole[:, None, None], standings.values, np.nan)  # (C, T, G, R)
    low, _ = _intervals(values, axis=3)
    gaps = terms.all_gaps
    reached = []  # (T, C) -1: none; else twice the place of the gap, and one more where the sweep ended first
    for number, task in enumerate(terms.tasks):
        of = np.flatnonzero(np.isin(gaps, terms.gaps(task)))
        holds = np.cumprod(np.nan_to_num(low[:, number, of]) > 0.5, axis=1).sum(1)
        last = np.append(-1, 2 * of)[holds]
        reached.append(last + (holds == len(of)))
    middle = np.sort(reached, axis=0)[(len(reached) - 1) // 2]
    unknown = standings.whole.sum(1) < 2
    found = pd.array([gaps[place // 2] if place >= 0 else pd.NA for place in middle], dtype="Int64")
    found[unknown] = pd.NA
    censored = pd.array((middle >= 0) & (middle % 2 == 1), dtype="boolean")
    censored[unknown] = pd.NA
    return {"horizon_gap": found, "horizon_censored": censored}


def _costs(trials: "pd.DataFrame") -> "pd.DataFrame":
    by = trials.assign(failed=trials["outcome"] != "finished").groupby(
        ["cell", "hidden_size"], as_index=False
    )
    return by.agg(
        cell_parameters=("cell_parameters", "first"),
        state_floats=("state_floats", "first"),
        runs=("run", "size"),
        failed=("failed", "sum"),
        reported=("reported", "sum"),
        seconds=("seconds", "sum"),
        device=("device", lambda devices: " and ".join(sorted(set(devices.dropna())))),
    )


def _to_solve(standings: Standings, trials: "pd.DataFrame") -> Floats:
    """The median over the chosen runs, those that did not solve being last; NaN where that is one of them."""
    runs = np.where(standings.whole[:, None, None], standings.chosen.runs, -1)
    runs = runs.reshape(len(runs), int(np.prod(runs.shape[1:])))
    updates = trials.set_index("run")["updates_to_solve"].fillna(np.inf)
    found = updates.reindex(runs.ravel()).to_numpy().reshape(runs.shape)
    found = np.sort(found, axis=1)  # NaN, no run, last
    count = np.isfinite(found).sum(1) + np.isinf(found).sum(1)
    median = np.take_along_axis(found, np.maximum(count - 1, 0)[:, None] // 2, 1)[:, 0]
    return np.where(np.isfinite(median), median, np.nan)


def _by_task(standings: Standings, terms: Terms) -> list[dict[str, float]]:
    """The gap-AUC of every cell by task, over whole repetitions; where there are none, over the task's."""
    counted = np.isfinite(standings.areas)
    some = standings.whole.any(1)
    counted[some] &= standings.whole[some, None]
    means = _mean(np.where(counted, standings.areas, np.nan), 2)
    return [{t: float(m) for t, m in zip(terms.tasks, row, strict=True) if m == m} for row in means]


def _by_gap(standings: Standings, terms: Terms) -> list[dict[int, float]]:
    """The normalised accuracy of every cell by gap of the protocol, the mean of the tasks that have it."""
    values = np.where(standings.whole[:, None, None], standings.values, np.nan)
    means = _mean(_mean(values, 3), 1)  # (C, G)
    named = terms.protocol.gaps
    return [
        {g: float(m) for g, m in zip(terms.all_gaps, row, strict=True) if g in named and m == m}
        for row in means
    ]


def _commands(
    rows: "pd.DataFrame", standings: Standings, trials: "pd.DataFrame", terms: Terms
) -> tuple[list[str], list[str | None]]:
    """What makes each entry as it is, and what makes more of it."""
    asked = trials.groupby(["cell", "hidden_size"])[["task", "repetition"]].agg(
        {"task": set, "repetition": "max"}
    )
    commands, completes = [], []
    for row, whole in zip(rows.itertuples(), standings.whole, strict=True):
        if row.status == "incomplete":
            part = asked.loc[(row.cell, row.hidden_size)]
            last, some = part["repetition"], [task for task in terms.tasks if task in part["task"]]
        else:
            last, some = np.flatnonzero(whole)[-1], ["all"]
        wanted = max(FULL if row.status == "provisional" else FEW, terms.protocol.repetitions, last + 1)
        commands.append(terms.command(row.cell, last + 1, some))
        completes.append(None if row.status == "full" else terms.command(row.cell, wanted))
    return commands, completes


def _mean(values: Floats, axis: int) -> Floats:
    """The mean of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis)
    return np.divide(
        np.where(known, values, 0).sum(axis), count, out=np.full(count.shape, np.nan), where=count > 0
    )


def _intervals(values: Floats, axis: int) -> tuple[Floats, Floats]:
    """Of normalised values whose repetitions lie along the axis, NaN where there is none."""
    known = np.isfinite(values)
    n, mean = known.sum(axis), _mean(values, axis)
    square = np.where(known, values - np.expand_dims(mean, axis), 0) ** 2
    std = np.sqrt(square.sum(axis) / np.maximum(n - 1, 1))
    least = np.where(known, values, np.inf).min(axis, initial=np.inf)
    most = np.where(known, values, -np.inf).max(axis, initial=-np.inf)
    low, high = interval_of(n, mean, std, least, most, 0.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)
