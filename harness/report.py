"""The results of a store as one page that needs no network, and its charts as pictures for papers."""

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import altair as alt

from harness import board, stats
from harness.charts import QUESTION, marks, panel, score_chart
from harness.colours import colour
from harness.errors import UserError
from harness.store import Store

PAGE = Path(__file__).with_name("report.html")
_SCALE = 3
"""Pixels of a picture for each of the chart."""


@dataclass(frozen=True)
class Chart:
    """A chart of a report."""

    name: str
    """What its files are called."""
    note: str
    chart: alt.TopLevelMixin


def write(store: Store, folder: Path) -> list[Path]:
    """Write `report.html` into a folder, and each chart as SVG and PNG; the files written.

    A section for every protocol under which there are results on the suite. Raises UserError where there is
    none, or what draws the charts is missing.
    """
    draw = _converter()
    found = board.protocols(store.entries())
    if not found:
        raise UserError("there are no results on the suite: `harness run --cell all --task all` makes them")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [*_write(store, found, folder, draw)]
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None


def _converter() -> Any:
    try:
        return importlib.import_module("vl_convert")
    except ModuleNotFoundError:
        raise UserError(
            "a report needs vl-convert-python to draw its charts: pip install 'recurrent-harness[report]'"
        ) from None


def _write(store: Store, protocols: list[str], folder: Path, draw: Any) -> Iterator[Path]:
    sections, specs = [], {}
    for protocol in protocols:
        made = board.read(store, protocol)
        charts = list(_charts(store, made))
        sections.append(_section(made, charts))
        for chart in charts:
            specs[chart.name] = chart.chart.to_dict()
            white = chart.chart.properties(background="white")
            for kind, scale in (("svg", 1), ("png", _SCALE)):
                path = folder / f"{chart.name}.{kind}"
                white.save(path, scale_factor=scale)
                yield path
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        sections="".join(sections),
        store=escape(str(store.database.name)),
        few=stats.FEW,
        full=stats.FULL,
        specs=json.dumps(specs).replace("</", "<\\/"),
        library=draw.javascript_bundle(vl_version=version).replace("</script", "<\\/script"),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    yield path


def _charts(store: Store, made: board.Board) -> Iterator[Chart]:
    """The scores, and the curves of each task."""
    protocol = made.terms.protocol
    if made.rows["score"].notna().any():
        note = "Score of each cell with its interval, and its rank."
        yield Chart(_name("scores", protocol.id), note, score_chart(made.rows))
    for task in made.terms.tasks:
        points = stats.curves(store.scores(task=task, protocol=protocol.id))
        if len(points):
            title = alt.Title(f"{task} · {protocol.id}", subtitle=marks(points))
            note = "Accuracy on test, mean over repetitions."
            yield Chart(
                _name("curves", task, protocol.id), note, panel(points, 420, 300).properties(title=title)
            )


def _name(*parts: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.@=-]+", "_", "-".join(parts)).strip("_")


def _section(made: board.Board, charts: list[Chart]) -> str:
    question = QUESTION[made.terms.protocol.train]
    figures = [
        f'<figure><div id="{chart.name}"></div><figcaption>{escape(chart.note)}</figcaption></figure>'
        for chart in charts
    ]
    return (
        f"<section><h2>{escape(' · '.join(made.place.values()))} division</h2>"
        f"<p>{len(made.terms.tasks)} tasks, {escape(question)}</p>"
        f"{_table(made)}{_commands(made)}<div class=charts>{''.join(figures)}</div></section>"
    )


_HEADINGS = (
    *("rank", "tie group", "cell", "score", "horizon", "repetitions", "parameters", "state floats"),
    *("training", "updates to solve", "failed runs"),
)


def _table(made: board.Board) -> str:
    """The board."""
    rows = []
    for row in made.rows[made.rows["status"] != "incomplete"].itertuples():
        cells = [
            *stats.rank_text(row),
            row.cell,
            f"{row.score:z.3f} [{row.low:z.3f}, {row.high:z.3f}]",
            stats.horizon_text(row.horizon_gap, row.horizon_censored, [made.terms.smallest]),
            f"{row.repetitions}",
            f"{row.cell_parameters:,}",
            f"{row.state_floats:,}",
            f"{row.seconds:,.0f} s, {row.device}",
            f"{row.updates_to_solve:,.0f}" if row.updates_to_solve > 0 else "–",
            f"{row.failed}",
        ]
        dot = f'<i style="background: {colour(row.cell)}"></i>'
        rows.append("".join(f"<td>{dot if i == 2 else ''}{escape(x)}</td>" for i, x in enumerate(cells)))
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    return f"<div class=wide><table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table></div>"


def _commands(made: board.Board) -> str:
    """What makes each row, what completes those without a rank, and which of these are not in the table."""
    short = [row.cell for row in made.rows.itertuples() if row.status == "incomplete"]
    lacking = f"<p>Incomplete, and so not ranked: {escape(', '.join(short))}</p>" if short else ""
    lines = []
    for row in made.rows.itertuples():
        line = f"{row.cell}, {row.status}: {row.command}"
        lines.append(line + (f"\n    more: {row.completes}" if row.completes else ""))
    text = escape("\n".join(lines))
    return f"{lacking}<details><summary>Commands</summary><pre>{text}</pre></details>"
