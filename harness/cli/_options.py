"""What several commands share."""

from collections.abc import Callable
from typing import Any

import click

from harness.errors import UserError


def warn_of_network(context: click.Context, option: click.Parameter, db: str | None) -> str | None:
    """Say where a store's file is on a network file system."""
    from harness.store.database import Database

    database = Database(db)
    if kind := database.network:
        click.echo(
            f"harness: warning: {database.name} is on a network file system ({kind}), where processes "
            "may not see each other's locks: keep it on a local disk, or give PostgreSQL's URL with --db",
            err=True,
        )
    return db


db_option: Callable[..., Any] = click.option(
    "--db",
    metavar="URL",
    callback=warn_of_network,
    help="URL or file of the store.  [default: $HARNESS_DB, else results.db here]",
)


def one_format(as_json: bool, as_csv: bool) -> None:
    """Raise UserError where a command is asked for both."""
    if as_json and as_csv:
        raise UserError("--json and --csv: give one of them")


def warn_of_problems() -> None:
    """Say which registered cells and tasks cannot be used, a line each."""
    from harness.registry import problems

    for line in problems():
        click.echo(f"harness: warning: {line}", err=True)
