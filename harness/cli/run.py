"""`harness run`."""

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from harness.cli._options import db_option, warn_of_problems
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.runner import Event


class _Numbers(click.ParamType):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            example = "2,4,8" if self.kind is int else "0.003,0.01"
            name = param.opts[0] if param else "value"
            raise UserError(f"{name} {value!r} is no list of numbers: write them as {example}") from None


class _Size(click.ParamType):
    """Bytes, as in 500M or 4G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number, unit = str(value)[:-1], str(value)[-1:].upper()
        if unit not in "MG" or not number.isdigit():
            raise UserError(f"--memory {value!r} is no size: write it as 500M or 4G")
        return int(number) << {"M": 20, "G": 30}[unit]


@click.command("run")
@click.option(
    "--cell", "cells", multiple=True, required=True, help="A cell's id or file, or all. Repeatable."
)
@click.option("--task", "tasks", multiple=True, required=True, help="A task's id, or all. Repeatable.")
@click.option("--protocol", default="quick", show_default=True, help="How to train and score.")
@click.option(
    "--train", type=click.Choice(["fixed", "mixed"]), help="One model per gap, or one for all gaps."
)
@click.option("--gaps", type=_Numbers(int), help="The gaps scored, as in 2,4,8.")
@click.option("--updates", type=int, help="Updates of each training.")
@click.option("--lr", type=_Numbers(float), help="The learning rates tried, as in 0.003,0.01.")
@click.option("--hidden-size", type=int, help="A width of your own (open division) instead of the budget's.")
@click.option("--repetitions", type=int, help="Trainings of each kind, with data and weights of their own.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:n.")
@click.option("--engine", default="auto", show_default=True, help="auto, reference, eager or compiled.")
@click.option("--memory", type=_Size(), help="Bytes that training may keep for its backward pass, as in 4G.")
@db_option
@click.option("--retry", is_flag=True, help="Try again what was given up.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per cell and task instead of the table.")
def command(cells: tuple[str, ...], tasks: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Train and score cells on tasks, and show accuracy against gap.

    What the store holds already is not trained again; after an interruption the same command continues.

    \b
    Examples:
      harness run --cell gru --task gap-copy
      harness run --cell lstm[layers=2] --cell my_cell.py --task all --train mixed --repetitions 5
    """
    from rich.console import Console

    from harness import runner

    warn_of_problems()
    console = Console(stderr=True)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # as Ctrl-C: what stops a job asks politely first
    with _Bars(console) as bars:
        try:
            results = runner.run(cells, tasks, report=bars.report, **options)
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


class _Bars:
    """The live progress: all populations, and those that train; a line for each where it is no terminal."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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

    def __enter__(self) -> "_Bars":
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
