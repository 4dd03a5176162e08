"""Stores that cannot be read, each with what is said of it and what is to be done."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness.store import Store
from harness.store.schema import REVISION

SAID = {
    "older": ("at revision 0000", "run `harness db upgrade --db"),
    "newer": ("newer than this harness", "run `pip install --upgrade recurrent-harness`"),
    "locked": ("is locked by another process", "try again when that has ended"),
    "no database": ("is not a store: file is not a database", "give another one with --db"),
    "another's": ("is not a store: it holds other tables", "give another one with --db"),
    "damaged": ("is not a store: database disk image is malformed", "give another one with --db"),
}
"""What is wrong, and the way out, by state."""


@contextmanager
def state(name: str, path: Path) -> Iterator[None]:
    """A store at this path in such a state, for as long as it is needed."""
    if name == "no database":
        path.write_text("this is no database, " * 100)
    elif name == "another's":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE songs (name TEXT)")
    else:
        Store.open(str(path))
    with closing(sqlite3.connect(path)) as connection:
        if name in ("older", "newer"):
            version = "0000" if name == "older" else f"{int(REVISION) + 1:04}"
            connection.execute("UPDATE alembic_version SET version_num = ?", [version])
            connection.commit()
        elif name == "locked":
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        elif name == "damaged":
            connection.execute("PRAGMA journal_mode = DELETE")
            whole = path.read_bytes()
            path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        yield
