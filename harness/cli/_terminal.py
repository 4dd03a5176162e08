"""Curves in a terminal: a table of accuracy by gap, and a plot. Good in 80 columns, and without colour."""

import string
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.colours import colour
from harness.protocol import command
from harness.registry import is_reference
from harness.stats import failures, horizon_text, interval_name, rates_text

if TYPE_CHECKING:
    import pandas as pd

    from harness.store import Store

HEIGHT = 17
"""Rows of a plot: a quarter of accuracy is four."""
_SHOWN = 6
"""Failed runs that are named; of more there is the number."""
_MARGIN = 5
"""Columns of the labels beside a plot."""
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille letter's dots, by column and row."""
_ASCII = str.maketrans(
    {"≥": ">=", "·": "-", "–": "-", "┊": ":", "│": "|", "└": "+", "─": "-", "┬": "+", "†": "^"}
)


def show(
    points: "pd.DataFrame", summary: "pd.DataFrame", runs: "pd.DataFrame", references: Collection[str] = ()
) -> None:
    """Print curves to standard output: for each task and protocol a plot, the numbers, and what failed.

    points, summary: of `harness.stats`; runs: of the store; references: cells that are marked as such
    """
    by = ["task", "protocol", "division"]
    with printing() as console:
        for place, part in points.groupby(by):
            beside = summary.merge(part[by].drop_duplicates(), on=by)
            console.print(Text(" · ".join(place) + " division", style="bold"))
            console.print(plot(part, min(console.width, 100), ascii_only=console.options.ascii_only))
            _print_numbers(console, part, beside, references)
            print_failures(console, runs.merge(part[by].drop_duplicates(), on=by))
            console.print()


@contextmanager
def printing() -> Iterator[Console]:
    """A console that prints to standard output, no blanks at the ends of lines, in ASCII where it must be."""
    console = Console()
    with console.capture() as capture:
        yield console
    text = "\n".join(line.rstrip() for line in capture.get().split("\n"))
    sys.stdout.write(text.translate(_ASCII) if console.options.ascii_only else text)


def references_of(store: "Store", cells: Iterable[str]) -> set[str]:
    """Those of the cells that say they are references, read off their sources in the store."""
    cards = {cell: store.card("cell", cell) for cell in set(cells)}
    return {cell for cell, card in cards.items() if card and is_reference(card.source)}


def _letters(cells: Iterable[str]) -> dict[str, str]:
    """The letter that stands for each cell in a plot."""
    names = sorted(set(cells))
    return dict(
        zip(names, (string.ascii_uppercase + string.ascii_lowercase).ljust(len(names), "?"), strict=False)
    )


def plot(points: "pd.DataFrame", width: int, *, ascii_only: bool = False) -> Text:
    """Accuracy against log2(gap) of the cells of one task and protocol, a letter for each cell at each gap.

    Letters at the same place stand side by side. Without Unicode the lines are dots.
    """
    gaps = points.drop_duplicates("gap").sort_values("gap")
    column = _columns(gaps["gap"].to_numpy(), width - _MARGIN)
    canvas = [[(" ", "")] * (width - _MARGIN) for _ in range(HEIGHT)]
    for x, y in _line([column[gap] for gap in gaps["gap"]], gaps["chance"]):
        if int(x) % 2 == 0:
            canvas[_row(y)][int(x)] = ("-", "dim")
    trained, beyond = (gaps.loc[gaps["extrapolated"] == part, "gap"] for part in (False, True))
    if len(trained) and len(beyond):
        border = (column[trained.max()] + column[beyond.min()]) // 2
        for line in canvas:
            line[border] = ("┊", "dim")
    letters = _letters(points["cell"])
    curves = [(cell, part.sort_values("gap")) for cell, part in points.groupby("cell")]
    for cell, part in curves:
        dots: dict[tuple[int, int], int] = {}
        for x, y in _line([column[gap] for gap in part["gap"]], part["accuracy"]):
            down = round(4 * (HEIGHT - 1) * (1 - y) + 1.5)
            place = down // 4, int(x)
            dots[place] = dots.get(place, 0) | _DOTS[int(2 * x) % 2][down % 4]
        for (row, x), bits in dots.items():
            canvas[row][x] = ("." if ascii_only else chr(0x2800 + bits), colour(cell))
    taken = set()
    for cell, part in curves:
        for gap, accuracy in zip(part["gap"], part["accuracy"], strict=True):
            row, x = _row(accuracy), column[gap]
            while (row, x) in taken and x + 1 < len(canvas[row]):
                x += 1
            taken.add((row, x))
            canvas[row][x] = (letters[cell], f"bold {colour(cell)}")
    text = Text("accuracy\n")
    for number, line in enumerate(canvas):
        label = f"{1 - number / (HEIGHT - 1):.2f}" if number % 4 == 0 else ""
        text.append(f"{label:>{_MARGIN - 1}}│")
        for letter, style in line:
            text.append(letter, style)
        text.append("\n")
    text.append(_axis(column, width))
    return text.append("- chance" + ("   right of ┊ beyond the trained gaps" if len(beyond) else ""), "dim")


def _columns(gaps: Sequence[int], width: int) -> dict[int, int]:
    """The column of every gap: log2, with the gap 0 an octave before 1."""
    x = np.log2(np.maximum(gaps, 0.5))
    share = (x - x[0]) / (x[-1] - x[0]) if len(x) > 1 else np.full(1, 0.5)
    return dict(zip(map(int, gaps), (2 + np.round(share * (width - 7))).astype(int).tolist(), strict=True))


def _line(columns: Sequence[int], values: Iterable[float]) -> Iterator[tuple[float, float]]:
    """The points of a line through these, eight to a column."""
    x = np.arange(8 * columns[0], 8 * columns[-1] + 1) / 8
    return zip(x.tolist(), np.interp(x, columns, list(values)).tolist(), strict=True)


def _row(accuracy: float) -> int:
    return round((HEIGHT - 1) * (1 - accuracy))


def _axis(column: dict[int, int], width: int) -> str:
    """The axis under a plot, a tick for every gap, a number where there is room."""
    line, labels = ["─"] * (width - _MARGIN), ""
    for gap, x in column.items():
        line[x] = "┬"
        if len(labels) < x:
            labels = f"{labels:<{x}}{gap}"
    title = "gap (tokens, log scale)"
    return f"{' ' * (_MARGIN - 1)}└{''.join(line)}\n{' ' * _MARGIN}{labels}\n{' ' * _MARGIN}{title}\n"


def _print_numbers(
    console: Console, points: "pd.DataFrame", summary: "pd.DataFrame", references: Collection[str]
) -> None:
    """Accuracy by gap, a row per cell, with gap-AUC and horizon; then what was trained to get there."""
    gaps = points.drop_duplicates("gap").sort_values("gap").set_index("gap")
    accuracy = points.pivot(index=["cell", "hidden_size"], columns="gap", values="accuracy")
    letters = _letters(points["cell"])
    interval = " or ".join(map(interval_name, sorted(set(summary["repetitions"]))))
    wide = console.width >= min(24, max(map(len, summary["cell"]))) + 6 * len(gaps) + 36
    reached = table(
        [*(f"{gap}{'*' if beyond else ''}" for gap, beyond in gaps["extrapolated"].items()), "AUC", "horizon"]
    )
    took = table(["H", "params", "state", "lr", "reps", "runs", "failed", "seconds"])
    for entry in summary.itertuples():
        marks = ["reference"] * (entry.cell in references) + ["reported"] * bool(entry.reported)
        shown = f"{entry.cell} ({', '.join(marks)})" if marks else entry.cell
        name = [Text(part, style=colour(entry.cell)) for part in (letters[entry.cell], shown)]
        known = accuracy.loc[(entry.cell, entry.hidden_size)].dropna()
        values = [f"{known[gap]:.2f}" if gap in known else "–" for gap in gaps.index]
        area = "–" if np.isnan(entry.gap_auc) else f"{entry.gap_auc:z.2f}"
        if wide:
            area += f" [{entry.gap_auc_low:z.2f}, {entry.gap_auc_high:z.2f}]"
        reached.add_row(
            *name, *values, area, horizon_text(entry.horizon_gap, entry.horizon_censored, known.index)
        )
        took.add_row(
            *name,
            str(entry.hidden_size),
            f"{entry.cell_parameters:,}",
            f"{entry.state_floats:,}",
            rates_text(entry.lr),
            str(entry.repetitions),
            str(entry.runs),
            Text(str(entry.failed), style="bold red" if entry.failed else ""),
            f"{entry.seconds:,.1f}",
        )
    reached.add_row("", "chance", *(f"{chance:.2f}" for chance in gaps["chance"]), style="dim")
    console.print(reached)
    console.print(
        "accuracy on test, mean over repetitions; AUC under it over log gap, 0 chance, 1 perfect"
        + (f" [{interval}]" if wide else "")
        + ("; * beyond the trained gaps" if gaps["extrapolated"].any() else ""),
        style="dim",
        highlight=False,
    )
    console.print(took)
    task, protocol = summary["task"].iloc[0], summary["protocol"].iloc[0]
    made = command("CELL", [task], protocol, int(summary["repetitions"].max()))
    console.print(f"made by: {made}", style="dim", highlight=False, markup=False, soft_wrap=True)


def table(columns: Iterable[str], first: Iterable[str] = ("",)) -> Table:
    """A table: columns before that of the cells, on the left, and columns of numbers after it."""
    made = Table(*first, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column("cell", overflow="fold", min_width=12)
    for name in columns:
        made.add_column(name, justify="right", overflow="fold")
    return made


def print_failures(console: Console, runs: "pd.DataFrame") -> None:
    """A line for each run that failed, as far as they are few."""
    lines = failures(runs)
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    for line in lines:
        console.print(line, style="red", highlight=False, markup=False, soft_wrap=True)
