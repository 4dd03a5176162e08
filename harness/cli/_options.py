"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

import click

db_option: Callable[..., Any] = click.option(
    "--db", metavar="URL", help="URL or file of the store.  [default: $HARNESS_DB, else results.db here]"
)
