"""`harness run`."""

from typing import Any

import click

from harness.cli._options import db_option
from harness.errors import UserError
from harness.ids import size


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
        try:
            return size(str(value))
        except ValueError as error:
            raise UserError(f"--memory {value!r}: {error}") from None


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
@click.option("--memory", type=_Size(), help="Bytes a machine may keep for backward passes, as in 4G.")
@click.option(
    "--timeout", type=float, metavar="SECONDS", help="What a population may take.  [default: any time]"
)
@click.option("--executor", default="local", show_default=True, help="Where to train: local or ray.")
@click.option("--address", help="Of the Ray cluster.  [default: $RAY_ADDRESS, else a Ray of our own here]")
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
      harness run --cell all --task all --timeout 3600 --executor ray --address auto
    """
    from harness import runner
    from harness.cli._training import train

    train(lambda report: runner.run(cells, tasks, report=report, **options), as_json)
