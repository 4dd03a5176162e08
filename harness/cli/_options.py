"""What several commands share."""

from collections.abc import Callable
from typing import Any

import click

from harness.errors import UserError

db_option: Callable[..., Any] = click.option(
    "--db", metavar="URL", help="URL or file of the store.  [default: $HARNESS_DB, else results.db here]"
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
