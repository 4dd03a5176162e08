"""`harness sweep`."""

import click

from harness.cli._options import db_option


@click.command("sweep")
@click.argument("file")
@db_option
@click.option("--retry", is_flag=True, help="Try again what was given up.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per curve instead of the tables.")
def command(file: str, db: str | None, retry: bool, as_json: bool) -> None:
    """Train and score what FILE asks for: several runs as one plan, the longest trainings first.

    The file is TOML. Its keys are the options of `harness run`; what stands before the first [[run]] holds
    for every run:

    \b
      cell = ["gru", "lstm[layers=2]", "my_cell.py"]
      task = "all"
      [[run]]
      protocol = "quick-mixed"
      repetitions = 5
      [[run]]
      protocol = "quick"
      gaps = [2, 8, 32]

    What the store holds already is not trained again; after an interruption the same command continues.
    `harness status FILE` says how far it is.

    \b
    Example:
      harness sweep docs/reference.toml
    """
    from harness import sweep_file
    from harness.cli._training import train

    train(lambda report: sweep_file.sweep(file, db=db, retry=retry, report=report), as_json)
