"""`harness db`: look after the store of results."""

import json
from collections.abc import Callable
from typing import Any

import click

from harness.store import Store
from harness.store.database import Database
from harness.store.schema import REVISION

db_option: Callable[..., Any] = click.option(
    "--db", metavar="URL", help="URL or file of the store.  [default: $HARNESS_DB, else results.db here]"
)


@click.group("db")
def command() -> None:
    """Look after the store of results.

    \b
    Example: harness db where
    """


@command.command()
@db_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def where(db: str | None, as_json: bool) -> None:
    """Print where the store is, its size and revision, and how much there is in it.

    \b
    Example: harness db where --db shared/results.db
    """
    database = Database(db)
    path, revision = database.path, database.revision()
    facts = {
        "store": str(path.resolve()) if path else database.name,
        "bytes": path.stat().st_size if path and path.exists() else None,
        "revision": revision,
        "newest_revision": REVISION,
        **(Store(database).counts() if revision == REVISION else {}),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    state = "none yet" if revision is None else f"{revision}, newest {REVISION}"
    lines = {"store": facts["store"], "revision": state}
    if facts["bytes"] is not None:
        lines["size"] = f"{facts['bytes'] / 1e6:.1f} MB"
    if "runs" in facts:
        lines["runs"] = f"{facts['runs']:,}, and {facts['retracted']:,} retracted"
        lines["attempts"] = f"{facts['attempts']:,}"
    for name, value in lines.items():
        click.echo(f"{name:9} {value}")


@command.command()
@db_option
def upgrade(db: str | None) -> None:
    """Bring the store to the revision of this harness. What is in it stays. Makes one where there is none.

    \b
    Example: harness db upgrade
    """
    database = Database(db)
    before = database.revision()
    database.upgrade()
    click.echo(f"{database.name} is at revision {REVISION}" + (" already" if before == REVISION else ""))


@command.command()
@click.argument("run", type=int)
@click.option("--reason", required=True, help="Why; kept with the run.")
@db_option
def retract(run: int, reason: str, db: str | None) -> None:
    """Hide a run, by its number, without deleting it. The next request for it trains it anew.

    \b
    Example: harness db retract 17 --reason "trained on a faulty GPU"
    """
    store = Store.open(db, create=False)
    store.retract(run, reason)
    click.echo(f"run {run} is retracted from {store.database.name}")
