"""`harness db`: look after the store of results."""

import json

import click

from harness.cli._options import db_option
from harness.store import Store
from harness.store.database import Database
from harness.store.schema import REVISION


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
    size = path.stat().st_size if path and path.exists() else None
    counts = Store(database).counts() if revision == REVISION else {}
    place = str(path.resolve()) if path else database.name
    if as_json:
        facts = {"store": place, "bytes": size, "revision": revision, "newest_revision": REVISION, **counts}
        click.echo(json.dumps(facts))
        return
    click.echo(f"store     {place}")
    click.echo(f"revision  {'none yet' if revision is None else f'{revision}, newest {REVISION}'}")
    if size is not None:
        click.echo(f"size      {size / 1e6:.1f} MB")
    if counts:
        click.echo(f"runs      {counts['runs']:,}, and {counts['retracted']:,} retracted")
        click.echo(f"attempts  {counts['attempts']:,}")


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
