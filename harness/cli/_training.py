"""What the commands that train share: live progress, and what came out."""

import json
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli._options import warn_of_problems
from harness.forecast import duration

if TYPE_CHECKING:
    from harness.runner import Event, Results

_LONG = 10.0
"""Seconds from which on it is said how long it will take."""
_LOOK_BACK = 300.0
"""Seconds by which the time that is left is judged."""


def train(run: "Callable[[Callable[[Event], None]], Results]", as_json: bool) -> None:
    """Run with live progress and print the curves. Exits with 130 if interrupted, with 1 if unfinished.

    run: takes what events are reported to
    """
    warn_of_problems()
    console = Console(stderr=True)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # as Ctrl-C: what stops a job asks politely first
    with Bars(console) as bars:
        try:
            results = run(bars.report)
        except KeyboardInterrupt:
            bars.stop()
            console.print(
                "Interrupted. What is finished is kept; the same command continues.", soft_wrap=True
            )
            sys.exit(130)
    from harness.cli._terminal import print_failures, references_of, show

    if as_json:
        for row in results.rows():
            click.echo(json.dumps(row))
        print_failures(console, results.runs())
    else:
        from harness import stats

        scores, runs = results.scores(), results.runs()
        if len(scores):
            references = references_of(results.store, scores["cell"])
            show(stats.curves(scores), stats.summary(scores, runs), runs, references)
    for line in results.unfinished:
        console.print(f"unfinished: {line}", soft_wrap=True, markup=False, highlight=False)
    if results.unfinished:
        sys.exit(1)


class Bars:
    """The live progress: all populations, by what each will take, and those that train; a line for each where
    it is no terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=_LOOK_BACK,
        )
        self.whole: Any = None
        self.bars: dict[int, Any] = {}
        self.costs: tuple[float, ...] = ()
        self.done: dict[int, float] = {}

    def __enter__(self) -> "Bars":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()

    def report(self, event: "Event") -> None:
        """Show what happened."""
        label = event.label
        if event.kind == "plan":
            self._plan(event)
        elif event.kind == "note":
            self._say(f"{label}: {event.note}")
        elif event.kind == "begin":
            self.costs += (0.0,) * (event.number + 1 - len(self.costs))  # what another driver has left
            self.bars[event.number] = self.progress.add_task(
                label, total=None, note="", count="", start=False
            )
            if not self.console.is_terminal:
                self._say(f"{event.number + 1}/{event.populations} {label}")
        elif event.kind == "end":
            self.progress.remove_task(self.bars.pop(event.number))
            self._done(event.number, 1.0)
        elif event.progress is not None:
            p, note = event.progress, "updates"
            if p.loss is not None:
                note = f"loss {p.loss:.3f}  accuracy {p.accuracy:.3f}  {p.training}/{p.members} training"
            bar = self.bars[event.number]
            self.progress.start_task(bar)
            count = f"{p.update}/{p.updates}"
            self.progress.update(bar, completed=p.update, total=p.updates, note=note, count=count)
            self._done(event.number, p.update / p.updates)

    def _plan(self, event: "Event") -> None:
        """Say how long it will take, where that is long; and measure from now on how long it does."""
        ahead = event.forecast
        if ahead is None:
            self._say(f"{event.populations} populations, nothing of the kind has trained on this device yet")
        elif ahead.whole > _LONG:
            workers = f"{ahead.workers} worker{'s' if ahead.workers > 1 else ''}"
            self._say(f"about {duration(ahead.whole)}: {event.populations} populations on {workers}")
        self.costs = (1.0,) * event.populations if ahead is None else ahead.seconds
        self.whole = self.progress.add_task("all", total=sum(self.costs), note="populations", count="")

    def _done(self, number: int, share: float) -> None:
        """So much of a population is done."""
        self.done[number] = share
        self.progress.update(
            self.whole,
            completed=sum(self.costs[i] * part for i, part in self.done.items()),
            count=f"{sum(part == 1 for part in self.done.values())}/{len(self.costs)}",
        )

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False, highlight=False)
