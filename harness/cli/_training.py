"""What the commands that train share: live progress, and what came out."""

import json
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli._options import warn_of_problems

if TYPE_CHECKING:
    from harness.runner import Event, Results


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
    if as_json:
        for row in results.rows():
            click.echo(json.dumps(row))
    else:
        from harness import stats
        from harness.cli._terminal import references_of, show

        scores, runs = results.scores(), results.runs()
        if len(scores):
            references = references_of(results.store, scores["cell"])
            show(stats.curves(scores), stats.summary(scores, runs), runs, references)
    for line in results.unfinished:
        console.print(f"unfinished: {line}", soft_wrap=True, markup=False, highlight=False)
    if results.unfinished:
        sys.exit(1)


class Bars:
    """The live progress: all populations, and those that train; a line for each where it is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.whole: Any = None
        self.bars: dict[int, Any] = {}

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
        if event.kind == "note":
            self.console.print(f"{label}: {event.note}", soft_wrap=True, markup=False, highlight=False)
        elif event.kind == "begin":
            if self.whole is None:
                self.whole = self.progress.add_task("all", total=event.populations, note="populations")
            self.bars[event.number] = self.progress.add_task(label, total=None, note="", start=False)
            if not self.console.is_terminal:
                line = f"{event.number + 1}/{event.populations} {label}"
                self.console.print(line, soft_wrap=True, markup=False, highlight=False)
        elif event.kind == "end":
            self.progress.remove_task(self.bars.pop(event.number))
            self.progress.advance(self.whole)
        elif event.progress is not None:
            p, note = event.progress, "updates"
            if p.loss is not None:
                note = f"loss {p.loss:.3f}  accuracy {p.accuracy:.3f}  {p.training}/{p.members} training"
            bar = self.bars[event.number]
            self.progress.start_task(bar)
            self.progress.update(bar, completed=p.update, total=p.updates, note=note)
