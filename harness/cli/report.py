"""`harness report`."""

from pathlib import Path

import click

from harness.cli._held import opened
from harness.cli._options import db_option


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="report")
@db_option
def command(folder: Path, db: str | None) -> None:
    """Write the results into a folder: one page that needs no network, and each chart as SVG and PNG.

    FOLDER is `report` if left out. Needs pip install 'recurrent-harness[report]'.

    \b
    Example: harness report paper/results
    """
    store, _ = opened(db)
    from harness.report import write

    files = write(store, folder)
    pictures = len(files) - 1
    click.echo(f"{files[-1]} is written, and {pictures} pictures beside it")
