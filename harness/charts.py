"""Altair charts of frames: accuracy against gap, and learning curves. Good on white and dark pages."""

from typing import TYPE_CHECKING

import altair as alt
import numpy as np

from harness.colours import look
from harness.stats import FEW, interval_name, rank_text

if TYPE_CHECKING:
    import pandas as pd

GREY = "#808080"
"""For what is no cell: seen on white and on black."""
QUESTION = {
    "fixed": "one model per gap: can the cell find a dependency so far away?",
    "mixed": "one model for all gaps: can the cell hold what it has learned to look for?",
}
_SPREAD = 0.25
"""Octaves over which the points of many cells at the same gap are spread; two stand a fifth of it apart."""
_SHARE = alt.Scale(domain=[0, 1.06], nice=False)
_PERCENT = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])


def curve_chart(points: "pd.DataFrame") -> alt.TopLevelMixin:
    """Accuracy against gap: a row for each task, the ways to train side by side.

    points: of `harness.stats.curves`
    """
    rows = []
    for task, of_task in points.groupby("task"):
        panels = []
        for (train, protocol, _), part in of_task.groupby(["train", "protocol", "division"]):
            title = alt.Title(f"{task} · {protocol}", subtitle=[QUESTION[train], marks(part)])
            panels.append(panel(part, width=360).properties(title=title))
        rows.append(alt.hconcat(*panels))
    return alt.vconcat(*rows).configure_title(anchor="start", subtitleColor=GREY)


def marks(points: "pd.DataFrame") -> str:
    """What the bars or bands of a panel are."""
    kinds: dict[str, list[str]] = {}
    for repetitions in sorted(set(points["repetitions"])):
        kinds.setdefault("bars" if repetitions < FEW else "bands", []).append(interval_name(repetitions))
    return "; ".join(f"{kind}: {' or '.join(names)}" for kind, names in kinds.items())


def panel(
    points: "pd.DataFrame", width: int | str = "container", height: int = 320, *, legend: bool = True
) -> alt.LayerChart | alt.FacetChart:
    """Accuracy against gap of the cells on one task under one protocol."""
    frame = points.assign(x=_positions(points), interval=points["repetitions"].map(interval_name))
    gaps = frame.drop_duplicates("gap").sort_values("gap")
    ticks = gaps["gap"].clip(lower=0.5).tolist()
    axis = alt.Axis(
        values=ticks, labelExpr="datum.value < 1 ? '0' : format(datum.value, 'd')", labelOverlap=True
    )
    domain = [ticks[0] * 2**-0.4, ticks[-1] * 2**0.4]
    x = alt.X(
        "x:Q",
        title="gap (tokens, log scale)",
        axis=axis,
        scale=alt.Scale(type="log", base=2, domain=domain, nice=False),
    )
    y = alt.Y("accuracy:Q", title="accuracy on test", scale=_SHARE, axis=_PERCENT)
    colour, shape = _looks(frame["cell"], legend)
    base = alt.Chart(frame).encode(x=x, color=colour)
    few = frame["repetitions"] < FEW
    spread = {"y": alt.Y("low:Q"), "y2": alt.Y2("high:Q")}
    trained, beyond = frame[~frame["extrapolated"]], frame[frame["extrapolated"]]
    bridge = frame[frame["extrapolated"] | (frame["gap"] == trained["gap"].max())]
    tooltip = [
        alt.Tooltip("cell:N"),
        alt.Tooltip("gap:Q", title="gap (tokens)"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%"),
        alt.Tooltip("high:Q", format=".1%"),
        alt.Tooltip("interval:N", title="low to high"),
        alt.Tooltip("chance:Q", format=".1%"),
        alt.Tooltip("lr:Q", title="learning rate"),
        alt.Tooltip("failed:Q", title="failed runs"),
    ]
    layers = [
        *_beyond(trained, beyond, domain[1]),
        *_chance(gaps, domain),
        base.properties(data=frame[~few]).mark_area(opacity=0.15).encode(**spread),
        base.properties(data=frame[few]).mark_rule(strokeWidth=1.5, opacity=0.4).encode(**spread),
        base.properties(data=trained).mark_line(strokeWidth=2).encode(y=y),
        base.properties(data=bridge).mark_line(strokeWidth=2, strokeDash=[5, 4]).encode(y=y),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape, tooltip=tooltip),
    ]
    return alt.layer(*layers).properties(width=width, height=height)


def score_chart(rows: "pd.DataFrame", width: int = 420) -> alt.LayerChart | alt.FacetChart:
    """The score of every cell that has one, with its interval: a line per cell, in the order of the board.

    rows: of `harness.stats.board`
    """
    scored = rows[rows["score"].notna()]
    frame = scored[["cell", "hidden_size", "score", "low", "high", "repetitions"]].assign(
        rank=[rank_text(row)[0] for row in scored.itertuples()],
        interval=scored["repetitions"].map(interval_name),
    )
    colour, shape = _looks(frame["cell"], legend=False)
    base = alt.Chart(frame).encode(y=alt.Y("cell:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)))
    x = alt.Scale(domain=[0, 1])
    tooltip = ["cell:N", "rank:N", *(alt.Tooltip(f"{n}:Q", format=".3f") for n in ("score", "low", "high"))]
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.5).encode(
            x=alt.X("low:Q", scale=x), x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=alt.X("score:Q", title="score: mean gap-AUC", scale=x),
            color=colour,
            shape=shape,
            tooltip=[*tooltip, alt.Tooltip("interval:N", title="low to high")],
        ),
        base.mark_text(color=GREY, align="left").encode(x=alt.value(width + 8), text="rank:N"),
    ).properties(width=width, height=alt.Step(24), title=alt.Title("rank", anchor="end"))


def learning_chart(checks: "pd.DataFrame", width: int | str = "container", height: int = 320) -> alt.Chart:
    """Accuracy on validation while training, a line per run.

    checks: `Store.learning` with the columns cell, lr, repetition and gap of its runs
    """
    colour, _ = _looks(checks["cell"])
    lines = alt.Chart(checks).mark_line(strokeWidth=1.5, opacity=0.7)
    return lines.encode(
        x=alt.X("update:Q", title="update"),
        y=alt.Y("accuracy:Q", title="accuracy on validation", scale=_SHARE, axis=_PERCENT),
        color=colour,
        strokeDash=alt.StrokeDash("lr:N", title="learning rate"),
        detail="run:N",
        tooltip=["cell:N", "gap:Q", "lr:Q", "repetition:Q", "update:Q", "loss:Q", "accuracy:Q"],
    ).properties(width=width, height=height)


def _positions(points: "pd.DataFrame") -> "pd.Series[float]":
    """Where points stand on the axis: at their gap, cells beside each other; 0 stands an octave before 1."""
    cells = {cell: i for i, cell in enumerate(sorted(set(points["cell"])))}
    step = _SPREAD / max(5, len(cells))
    octaves = (points["cell"].map(cells) - (len(cells) - 1) / 2) * step
    return points["gap"].clip(lower=0.5) * 2**octaves


def _looks(cells: "pd.Series[str]", legend: bool = True) -> tuple[alt.Color, alt.Shape]:
    names = sorted(set(cells))
    colours, shapes = zip(*map(look, names), strict=True)
    columns = max(1, 100 // (6 + max(map(len, names))))
    below = (
        alt.Legend(
            title=None, orient="bottom", columns=columns, labelLimit=400, symbolSize=80, symbolOpacity=1
        )
        if legend
        else None
    )
    return (
        alt.Color("cell:N", scale=alt.Scale(domain=names, range=colours), legend=below),
        alt.Shape("cell:N", scale=alt.Scale(domain=names, range=shapes), legend=below),
    )


def _beyond(trained: "pd.DataFrame", beyond: "pd.DataFrame", end: float) -> list[alt.Chart]:
    """The shaded part of a panel that lies beyond the trained gaps."""
    if trained.empty or beyond.empty:
        return []
    border = float(np.sqrt(trained["gap"].max() * beyond["gap"].min()))
    area = alt.Chart(alt.Data(values=[{"from": border, "to": end, "note": "extrapolated"}]))
    return [
        area.mark_rect(color=GREY, opacity=0.12).encode(x="from:Q", x2="to:Q"),
        area.mark_text(color=GREY, align="right", baseline="top", dx=-4, dy=3).encode(
            x="to:Q", y=alt.value(0), text="note:N"
        ),
    ]


def _chance(gaps: "pd.DataFrame", domain: list[float]) -> list[alt.Chart]:
    """The dashed line of those who guess."""
    values = gaps["chance"].tolist()
    x = [domain[0], *gaps["gap"].clip(lower=0.5), domain[1]]
    y = [values[0], *values, values[-1]]
    note = f"chance {100 * values[0]:.3g} %" if len(set(values)) == 1 else "chance"
    line = [{"x": a, "chance": b} for a, b in zip(x, y, strict=True)]
    return [
        alt.Chart(alt.Data(values=line))
        .mark_line(color=GREY, strokeDash=[3, 3], strokeWidth=1.5)
        .encode(x="x:Q", y="chance:Q"),
        alt.Chart(alt.Data(values=[line[0] | {"note": note}]))
        .mark_text(color=GREY, align="left", baseline="bottom", dx=4, dy=-3)
        .encode(x="x:Q", y="chance:Q", text="note:N"),
    ]
