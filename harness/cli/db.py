"""`harness db`: look after the store of results."""

import json
from pathlib import Path

import click

from harness.cli._options import db_option
from harness.errors import UserError
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


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@db_option
def export(file: Path, db: str | None) -> None:
    """Write the results into a file of JSON Lines, in a fixed order: fit for review, and for `import`.

    Runs with their counts and learning curves, and what they refer to: cards, protocols, provenances. Runs
    that are retracted, and attempts that failed, stay behind.

    \b
    Example: harness db export results.jsonl
    """
    from harness.exchange import export

    store = Store.open(db, create=False)
    try:
        lines = export(store, file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"{store.counts()['runs']:,} runs of {store.database.name} are in {file}, {lines:,} lines")


@command.command("import")
@click.argument("file")
@db_option
def import_(file: str, db: str | None) -> None:
    """Read results from a file that `export` wrote; `reference` means those that come with the harness.

    All of it is checked first: versions, hashes, tasks and counts. What is in the store stays as it is, and
    what is in both is not taken twice. What is new is marked as reported, as against measured here.

    \b
    Examples:
      harness db import results.jsonl
      harness db import reference --db reference.db
    """
    from harness.exchange import read

    records = read(file)  # before a store is made for them
    store = Store.open(db)
    new = store.add(records)
    click.echo(
        f"{new:,} runs are new in {store.database.name}, as reported, {len(records) - new:,} were there"
    )


@command.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy a whole store from a URL or file to another, as from SQLite to PostgreSQL: all of it or nothing.

    Everything goes along: retracted runs, attempts, cards. TO must be empty, or not there yet; FROM stays.

    \b
    Example: harness db copy results.db postgresql://ada@host/results
    """
    from harness.store.copying import copy

    copy(Database(source), Database(target))
    counts = Store(Database(target)).counts()
    click.echo(
        f"{counts['runs']:,} runs, {counts['retracted']:,} retracted, and {counts['attempts']:,} attempts "
        f"are in {Database(target).name}"
    )
