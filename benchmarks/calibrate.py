"""How hard the tasks of the suite are: the area under each one's curve for a vanilla RNN and for gated cells.

A suite tells cells apart where they neither fail at once nor solve everything, so at least half of its tasks
are to lie between 0.05 and 0.95 gap-AUC, for the vanilla RNN and for the best gated cell. This looks cheaply:
`standard` at a single learning rate and in two repetitions, its updates and its gaps. Small gaps come first,
of all tasks; where no repetition at a gap is above chance, larger ones are taken for chance and not trained.

Every run is a row of a CSV as soon as it is there. What is in it is not trained again: interrupted, the same
command continues, and what the tasks look like so far is printed by `--summary`.
"""

import csv
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import _measure
import click

import harness
from harness.protocol import STANDARD, Protocol
from harness.registry import find_cell, find_task, suite
from harness.runner import Event
from harness.stats import accuracy, gap_auc, normalised
from harness.store import Store
from harness.task import Task

HERE = Path(__file__).with_name("calibration.csv")
VANILLA = "rnn"
CHANCE = 0.05
"""Normalised accuracy below which a gap counts as not learned at all."""
LOW, HIGH = 0.05, 0.95
"""Gap-AUC between which a task tells cells apart."""
COLUMNS = (
    *("cell", "task", "protocol", "gap", "repetition", "accuracy", "chance", "updates_to_solve", "outcome"),
    *("seconds", "date", "code"),
)


class Place(NamedTuple):
    """A model that is trained in all repetitions: a cell at a gap of a task."""

    cell: str
    task: str
    gap: int


class Table:
    """The CSV, as far as it tells of this protocol.

    protocol: what the rows have in common; its gaps are those asked for
    """

    def __init__(self, path: Path, protocol: Protocol) -> None:
        self.path, self.protocol = path, protocol
        self.name = protocol.vary(gaps=STANDARD.gaps).id
        self.rows: dict[Place, dict[int, dict[str, str]]] = {}
        if not path.exists():
            path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        whole = path.read_text(encoding="utf-8")
        if whole and not whole.endswith("\n"):  # ended while it was writing
            path.write_text(whole[: whole.rfind("\n") + 1], encoding="utf-8")
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["protocol"] == self.name:
                    self._keep(row)

    def _keep(self, row: dict[str, str]) -> bool:
        repetitions = self.rows.setdefault(Place(row["cell"], row["task"], int(row["gap"])), {})
        return repetitions.setdefault(int(row["repetition"]), row) is row

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append those rows that are not there."""
        texts = [{name: f"{row[name]}" for name in COLUMNS} for row in rows]
        new = [row for row in texts if self._keep(row)]
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(new)

    def gaps(self, task: Task) -> tuple[int, ...]:
        """Those asked of a task."""
        return self.protocol.evaluated(task.min_gap)

    def reached(self, place: Place) -> float | None:
        """The normalised accuracy of the best repetition; None where not all are there."""
        rows = self.rows.get(place, {})
        if len(rows) < self.protocol.repetitions:
            return None
        return max(float(normalised(float(r["accuracy"]), float(r["chance"]))) for r in rows.values())

    def fails_before(self, place: Place, task: Task) -> bool:
        """Whether it is at chance at a smaller gap."""
        smaller = [self.reached(place._replace(gap=gap)) for gap in self.gaps(task) if gap < place.gap]
        return any(reached is not None and reached < CHANCE for reached in smaller)

    def area(self, cell: str, task: Task) -> tuple[float, float, bool]:
        """The gap-AUC, from, to, and whether gaps are taken for chance. What is not known yet may be chance
        or perfect.
        """
        low, high, taken = [], [], False
        for gap in self.gaps(task):
            place, chance = Place(cell, task.id, gap), task.chance(gap)
            if self.reached(place) is not None:
                right = [float(row["accuracy"]) for row in self.rows[place].values()]
                low.append(sum(right) / len(right))
                high.append(low[-1])
                continue
            fails = self.fails_before(place, task)
            low.append(chance)
            high.append(chance if fails else 1.0)
            taken |= fails
        gaps = self.gaps(task)
        chances = [task.chance(gap) for gap in gaps]
        return float(gap_auc(gaps, low, chances)), float(gap_auc(gaps, high, chances)), taken


def calibrate(table: Table, cells: Sequence[str], tasks: Sequence[Task]) -> None:
    """Train what is missing, small gaps first: at each gap a cell's tasks side by side, on all cores."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(str(Path(folder) / "calibration.db"))

        def report(event: Event) -> None:
            if event.kind == "begin":
                print(f"{event.number + 1}/{event.populations} {event.label}", file=sys.stderr)
            elif event.kind == "end":
                table.add(_rows(store, table.name))

        for gap in sorted({gap for task in tasks for gap in table.gaps(task)}):
            for cell in cells:
                missing = [
                    task.id
                    for task in tasks
                    if gap in table.gaps(task)
                    and table.reached(Place(cell, task.id, gap)) is None
                    and not table.fails_before(Place(cell, task.id, gap), task)
                ]
                if missing:
                    p = table.protocol
                    varied = {"lr": p.lr, "updates": p.updates, "repetitions": p.repetitions}
                    results = harness.run(
                        cell,
                        missing,
                        p.name,
                        gaps=[gap],
                        db=str(store.database.path),
                        report=report,
                        **varied,
                    )
                    for line in results.unfinished:
                        print(f"unfinished: {line}", file=sys.stderr)


def _rows(store: Store, protocol: str) -> Iterator[dict[str, Any]]:
    """What the store holds, a row per run."""
    scores = store.scores().query("split == 'test'")
    runs = store.runs()[["run", "updates_to_solve", "seconds", "created", "provenance"]]
    for row in scores.assign(accuracy=accuracy(scores)).merge(runs, on="run").to_dict("records"):
        commit, dirty = (row["provenance"][name] for name in ("commit", "dirty"))
        solved = row["updates_to_solve"]
        yield {
            **row,
            "protocol": protocol,
            "accuracy": f"{row['accuracy']:.5f}",
            "chance": f"{row['chance']:.5f}",
            "updates_to_solve": int(solved) if solved > 0 else "",
            "seconds": f"{row['seconds']:.1f}",
            "date": f"{row['created']:%Y-%m-%d}",
            "code": f"{(commit or 'unknown')[:12]}{'+' if dirty else ''}",
        }


def summary(table: Table, cells: Sequence[str], tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """A row per task: the gap-AUC of each cell as text, `low` and `high` by cell."""
    rows = []
    for task in tasks:
        row: dict[str, Any] = {"task": task.id, "low": {}, "high": {}}
        for cell in cells:
            low, high, taken = table.area(cell, task)
            row["low"][cell], row["high"][cell] = low, high
            row[cell] = f"{low:.2f}{f'–{high:.2f}' if high > low else ''}{'*' if taken else ' '}"
        rows.append(row)
    return rows


def tells(row: Mapping[str, Any], cells: Sequence[str]) -> bool:
    """Whether the best of the cells lies between chance and perfect, whatever is still to be found."""
    low, high = (max(row[end][cell] for cell in cells) for end in ("low", "high"))
    return low >= LOW and high <= HIGH


@click.command()
@click.option("--cell", "cells", multiple=True, default=("rnn", "gru"), show_default=True, help="Repeatable.")
@click.option("--task", "names", multiple=True, help="Repeatable.  [default: the suite]")
@click.option("--gaps", callback=_measure.numbers, default="2,4,8,16,32,64,128,256", show_default=True)
@click.option("--updates", default=STANDARD.updates, show_default=True)
@click.option(
    "--csv", "path", type=click.Path(path_type=Path), default=HERE, help="[default: calibration.csv here]"
)
@click.option("--summary", "only", is_flag=True, help="Print what is known so far, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per task.")
def main(
    cells: tuple[str, ...],
    names: tuple[str, ...],
    gaps: list[int],
    updates: int,
    path: Path,
    only: bool,
    as_json: bool,
) -> None:
    """Measure how hard each task is, and print a table of gap-AUC, task by cell.

    \b
    Example: python benchmarks/calibrate.py --cell rnn --cell gru --cell lstm
    """
    protocol = STANDARD.vary(gaps=tuple(gaps), updates=updates, lr=(3e-3,), repetitions=2)
    tasks = [find_task(name) for name in names or suite()]
    cells = tuple(find_cell(cell).id for cell in cells)
    table = Table(path, protocol)
    if not only:
        calibrate(table, cells, tasks)
    rows = summary(table, cells, tasks)
    columns = {"task": ("task", "{}"), **{cell: (cell, "{}") for cell in cells}}
    _measure.show(f"gap-AUC under {table.name}", rows, columns, _measure.machine(), as_json)
    if as_json:
        return
    print("* larger gaps are taken for chance; a–b: not all gaps are known yet")
    gated = [cell for cell in cells if cell != VANILLA]
    for title, of in ((VANILLA, [VANILLA]), (f"the best of {', '.join(gated)}", gated)):
        if set(of) <= set(cells) and of:
            many = sum(tells(row, of) for row in rows)
            print(f"{title}: {many} of {len(rows)} tasks lie between {LOW} and {HIGH}")


if __name__ == "__main__":
    main()
