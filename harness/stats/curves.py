"""From counts to curves: selection of the learning rate, accuracy with its interval, gap-AUC and horizon.

Pure functions of the store's frames.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.protocol import command
from harness.stats.measures import gap_auc, interval, interval_of

if TYPE_CHECKING:
    import pandas as pd

ENTRY = ["cell", "task", "protocol", "division", "hidden_size"]
"""What makes an entry of a board; repetitions and learning rates lie within."""
_CHOICE = [*ENTRY, "trained_gap"]
"""What one learning rate is chosen for: in a mixed protocol `trained_gap` is null."""


def accuracy(scores: "pd.DataFrame") -> "pd.Series[float]":
    """The accuracy of every row of scores; a failed run's is chance."""
    right = scores["n_correct"].astype(float) / scores["n"].astype(float)
    return right.where(scores["n_correct"].notna(), scores["chance"].astype(float))


def select(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The learning rate of every entry (and trained gap): the best mean over repetitions on validation.

    Gaps beyond the trained ones do not count. Rates are compared on the repetitions that all of them have,
    if there are any; ties go to the smaller rate. Columns: those of an entry, trained_gap, lr.
    """
    seen = scores[(scores["split"] == "validation") & ~scores["extrapolated"].astype(bool)]
    runs = seen.assign(accuracy=accuracy(seen))
    runs = runs.groupby([*_CHOICE, "lr", "repetition"], dropna=False, as_index=False)["accuracy"].mean()
    rates = runs.groupby(_CHOICE, dropna=False)["lr"].transform("nunique")
    runs["shared"] = runs.groupby([*_CHOICE, "repetition"], dropna=False)["lr"].transform("nunique") == rates
    compared = runs["shared"] | ~runs.groupby(_CHOICE, dropna=False)["shared"].transform("any")
    means = runs[compared].groupby([*_CHOICE, "lr"], dropna=False, as_index=False)["accuracy"].mean()
    means["accuracy"] = means["accuracy"].round(12)  # equal counts summed in another order are a tie
    best = means.sort_values(["accuracy", "lr"], ascending=[False, True]).drop_duplicates(_CHOICE)
    return best[[*_CHOICE, "lr"]].sort_values(_CHOICE, ignore_index=True)


def curves(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Accuracy against gap of every entry, on test, at the selected learning rates: a row per gap.

    Columns: those of an entry, gap, accuracy, low, high, chance, repetitions, failed, lr, extrapolated; and
    train, `fixed` where every gap has a model of its own, `mixed` where one answers at all.
    """
    return _curves(_tested(scores))


def summary(scores: "pd.DataFrame", runs: "pd.DataFrame") -> "pd.DataFrame":
    """A row per entry: what it reached, and what it took.

    Columns: those of an entry; lr, a number, or a dict by gap where a model was trained for every gap;
    repetitions, of all its gaps; gap_auc, gap_auc_low, gap_auc_high over these; gap_auc_trained and
    gap_auc_extrapolated, the parts on either side of the largest trained gap, where some gaps lie beyond it;
    horizon_gap, horizon_censored; over all rates, runs, failed, reported (how many were not measured
    here), seconds, cell_parameters, state_floats; and command, which makes the entry.
    """
    test = _tested(scores)
    cost = runs.assign(failed=runs["outcome"] != "finished").groupby(ENTRY, as_index=False)
    costs = cost.agg(
        runs=("run", "size"),
        failed=("failed", "sum"),
        reported=("reported", "sum"),
        seconds=("seconds", "sum"),
        cell_parameters=("cell_parameters", "first"),
        state_floats=("state_floats", "first"),
        last=("repetition", "max"),
    )
    costs["command"] = [
        command(row.cell, [row.task], row.protocol, row.last + 1) for row in costs.itertuples()
    ]
    del costs["last"]
    return _areas(test).merge(_horizons(_curves(test)), on=ENTRY).merge(costs, on=ENTRY)


def entries(scores: "pd.DataFrame", runs: "pd.DataFrame") -> list[dict[str, Any]]:
    """The summary and the curve of every entry as plain data, ready for JSON."""
    points = dict(list(_plain(curves(scores)).groupby(ENTRY)))
    found = []
    for row in _plain(summary(scores, runs)).to_dict("records"):
        lr = row["lr"]
        parts = {"value": "gap_auc"} | {part: f"gap_auc_{part}" for part in ("low", "high")}
        if row["gap_auc_trained"] is not None:
            parts |= {part: f"gap_auc_{part}" for part in ("trained", "extrapolated")}
        curve = points[tuple(row[key] for key in ENTRY)]
        found.append(
            {name: row[name] for name in (*ENTRY, "cell_parameters", "state_floats")}
            | {"lr": {str(gap): rate for gap, rate in lr.items()} if isinstance(lr, dict) else lr}
            | {name: row[name] for name in ("repetitions", "runs", "failed", "reported", "seconds")}
            | {"gap_auc": {part: row[name] for part, name in parts.items()}}
            | {"horizon": {name: row[f"horizon_{name}"] for name in ("gap", "censored")}}
            | {
                "curve": curve[["gap", "accuracy", "low", "high", "chance", "extrapolated"]].to_dict(
                    "records"
                )
            }
            | {"command": row["command"]}
        )
    return found


def horizon_text(gap: int | None, censored: bool | None, gaps: Iterable[int]) -> str:
    """A horizon of `summary` as it is written, `gaps` being those evaluated; null is None or pandas' NA.

    >>> horizon_text(64, True, [2, 64]), horizon_text(2, False, [2, 64]), horizon_text(None, False, [2, 64])
    ('≥ 64', '2', '< 2')
    """
    if not isinstance(censored, bool | np.bool_):
        return "–"
    if not isinstance(gap, int | np.integer):
        return f"< {min(gaps)}"
    return f"≥ {gap}" if censored else f"{gap}"


def rates_text(lr: float | dict[int, float]) -> str:
    """The learning rates of `summary` as they are written.

    >>> rates_text({2: 0.01, 4: 0.003, 8: 0.01}), rates_text(0.003)
    ('0.003, 0.01', '0.003')
    """
    return ", ".join(f"{rate:g}" for rate in sorted(set(lr.values() if isinstance(lr, dict) else [lr])))


def failures(runs: "pd.DataFrame") -> list[str]:
    """A line for every run that failed: which, when and, as far as it is known, why."""
    lines = []
    for run in runs[runs["outcome"] != "finished"].itertuples():
        gap = "" if np.isnan(run.gap) else f" gap {run.gap:.0f},"
        when = "" if np.isnan(run.outcome_update) else f" at update {run.outcome_update:.0f}"
        why = f": {run.reason}" if isinstance(run.reason, str) else ""
        lines.append(f"{run.cell}:{gap} lr {run.lr:g}, repetition {run.repetition} {run.outcome}{when}{why}")
    return lines


def _tested(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The test rows of the selected learning rates, with their accuracy; failed runs are marked."""
    test = scores[scores["split"] == "test"].merge(select(scores), on=[*_CHOICE, "lr"])
    return test.assign(
        accuracy=accuracy(test),
        failed=test["n_correct"].isna(),
        extrapolated=test["extrapolated"].astype(bool),
        train=np.where(test["trained_gap"].isna(), "mixed", "fixed"),
    )


def _curves(test: "pd.DataFrame") -> "pd.DataFrame":
    points = test.groupby([*ENTRY, "gap"], as_index=False).agg(
        accuracy=("accuracy", "mean"),
        std=("accuracy", "std"),
        least=("accuracy", "min"),
        most=("accuracy", "max"),
        chance=("chance", "first"),
        repetitions=("repetition", "size"),
        failed=("failed", "sum"),
        lr=("lr", "first"),
        extrapolated=("extrapolated", "first"),
        train=("train", "first"),
    )
    std, least, most = (points.pop(name) for name in ("std", "least", "most"))
    n, mean, chance = points["repetitions"], points["accuracy"], points["chance"]
    low, high = interval_of(n, mean, std, least, most, chance)
    after = points.columns.get_loc("accuracy") + 1
    points.insert(after, "high", high)
    points.insert(after, "low", low)
    return points


def _horizons(points: "pd.DataFrame") -> "pd.DataFrame":
    """The largest gap such that there and at every smaller one the interval lies above halfway to 1.

    Censored: the sweep ended first. Gap null: the smallest already fails. Both null: a single repetition,
    whose interval cannot lie there.
    """
    rows = points.sort_values("gap")
    rows["holds"] = rows["low"] > (1 + rows["chance"]) / 2
    rows["holds"] = rows.groupby(ENTRY)["holds"].cummin()
    rows["within"] = rows["gap"].where(rows["holds"])
    found = rows.groupby(ENTRY, as_index=False).agg(
        horizon_gap=("within", "max"), horizon_censored=("holds", "all"), least=("repetitions", "min")
    )
    unknown = found.pop("least") < 2
    found["horizon_gap"] = found["horizon_gap"].astype("Int64").mask(unknown)
    found["horizon_censored"] = found["horizon_censored"].astype("boolean").mask(unknown)
    return found


def _areas(test: "pd.DataFrame") -> "pd.DataFrame":
    """The learning rates of every entry, and its gap-AUC over the repetitions that have all its gaps."""
    import pandas as pd

    rows = []
    for key, group in test.groupby(ENTRY):
        table = group.pivot(index="repetition", columns="gap", values="accuracy").dropna()
        at = group.drop_duplicates("gap").set_index("gap").loc[table.columns]
        gaps, values = table.columns.to_numpy(), table.to_numpy()
        chance, beyond = at["chance"].to_numpy(), at["extrapolated"].to_numpy()
        rates = at["lr"].to_dict()
        row = dict(zip(ENTRY, key, strict=True))
        row |= {"lr": rates if (at["train"] == "fixed").all() else next(iter(rates.values()))}
        row |= {"repetitions": len(table)}
        if len(table):
            area = gap_auc(gaps, values, chance)
            low, high = interval(area, 0.0)
            row |= {"gap_auc": area.mean(), "gap_auc_low": float(low), "gap_auc_high": float(high)}
        if len(table) and beyond.any() and not beyond.all():
            for part, name in (
                (~beyond, "gap_auc_trained"),
                (gaps >= gaps[~beyond].max(), "gap_auc_extrapolated"),
            ):
                row[name] = gap_auc(gaps[part], values[:, part], chance[part]).mean()
        rows.append(row)
    measured = [
        "lr",
        "repetitions",
        "gap_auc",
        "gap_auc_low",
        "gap_auc_high",
        "gap_auc_trained",
        "gap_auc_extrapolated",
    ]
    return pd.DataFrame(rows, columns=[*ENTRY, *measured])


def _plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Python's own numbers, and None for what is not known."""
    whole = frame.astype(object)
    return whole.where(whole.notna(), None)
