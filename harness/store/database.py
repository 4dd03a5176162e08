"""Where a store lives: its URL, its revision, and transactions in it. SQLite or PostgreSQL."""

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from harness.errors import UserError
from harness.store.schema import REVISION, metadata

DEFAULT = "results.db"
BUSY_SECONDS = 30.0
"""How long a transaction waits for another process that writes."""
_WRITERS = 0x68_61_72_6E
"""PostgreSQL's advisory lock that is held while writing."""


class Database:
    """A store's place. A connection lives as long as its transaction, so threads and forks share none.

    where: a URL or a file's path; else the environment's HARNESS_DB; else `results.db` in the current folder
    wait: seconds to wait for another process that has it locked; BUSY_SECONDS if None
    """

    def __init__(self, where: str | None = None, *, wait: float | None = None) -> None:
        self.url = _url(where or os.environ.get("HARNESS_DB") or DEFAULT)
        self.name = self.url.database if self._sqlite else self.url.render_as_string(hide_password=True)
        try:
            self._engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{self.name} needs the driver {error.name}: pip install 'recurrent-harness[postgres]'"
            ) from None
        if self._sqlite:
            sa.event.listen(self._engine, "connect", partial(_on_sqlite_connect, wait))
        sa.event.listen(self._engine, "begin", _on_begin)

    @property
    def _sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        file = self.url.database
        return Path(file) if self._sqlite and file and not file.startswith("file:") else None

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what a user can mend into a UserError."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            if explained := self._explained(error):
                raise explained from error
            raise

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """All or nothing; one writer at a time, whom readers never wait for. Without `write` it only reads.

        Raises UserError when the database cannot be reached, read or written.
        """
        with self._explaining(), self._engine.connect() as connection:
            connection.execution_options(write=write)
            with connection.begin():
                yield connection

    def _explained(self, error: DBAPIError | sqlite3.Error) -> UserError | None:
        cause = getattr(error, "orig", error)
        reason = str(cause).strip().partition("\n")[0]
        if "not a database" in reason or "malformed" in reason:
            return UserError(f"{self.name} is not a store: {reason}; give another one with --db")
        if "locked" in reason:
            return UserError(f"{self.name} is locked by another process: try again when that has ended")
        if "readonly" in reason or getattr(cause, "sqlstate", None) in ("25006", "42501"):
            return UserError(
                f"{self.name} is read-only: copy it to where you may write, or give another with --db"
            )
        if isinstance(error, OperationalError) or type(error) is DatabaseError:
            return UserError(f"{self.name} cannot be used: {reason}")
        return None

    def among(self, column: sa.Column[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
        """Whether a column's value is one of these, which may be many: they travel as a single parameter."""
        listed = sa.literal(json.dumps(list(values)), sa.Text)
        elements = (
            sa.func.json_each(listed)
            if self._sqlite
            else sa.func.json_array_elements_text(sa.cast(listed, sa.JSON))
        )
        return column.in_(sa.select(sa.cast(elements.table_valued("value").c.value, column.type)))

    def revision(self) -> str | None:
        """The migration that it is at; None: there is no store yet. Raises UserError if it is no store."""
        if self.path and not self.path.exists():
            return None  # connecting would make the file
        with self.transaction() as connection:
            return self._revision(connection)

    def _revision(self, connection: sa.Connection) -> str | None:
        tables = sa.inspect(connection).get_table_names()
        if not tables:
            return None
        if not {"alembic_version", "runs"} <= set(tables):
            raise UserError(f"{self.name} is not a store: it holds other tables; give another one with --db")
        version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        return str(version)

    def check(self) -> None:
        """Raises UserError where there is no store, or one of another revision."""
        found = self.revision()
        if found is None:
            raise UserError(
                f"there is no store at {self.name} yet: `harness run --cell gru --task gap-copy` makes one, "
                "`harness db import reference` one of published results; --db names another"
            )
        self._require_not_newer(found)
        if found < REVISION:
            raise UserError(
                f"{self.name} is at revision {found}, this harness at {REVISION}: "
                f"run `harness db upgrade --db {self.name}`"
            )

    def _require_not_newer(self, found: str) -> None:
        if found > REVISION:
            raise UserError(
                f"{self.name} is at revision {found}, which is newer than this harness ({REVISION}): "
                "run `pip install --upgrade recurrent-harness`"
            )

    def upgrade(self) -> None:
        """Bring it to the newest revision, from nothing if need be. Raises UserError if it is newer."""
        if self.path and not (self.path.exists() and self.path.stat().st_size):
            self._create(self.path)
        with self.transaction(write=True) as connection:
            found = self._revision(connection)
            if found is not None:
                self._require_not_newer(found)
            if found != REVISION:
                _migrate(connection)

    def _create(self, path: Path) -> None:
        if not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} to put the store {path.name} in")
        if _on_network(path):
            return  # a write-ahead log needs shared memory
        with self._explaining(), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")


def _url(where: str) -> sa.URL:
    if "://" not in where:
        return sa.URL.create("sqlite", database=where)
    shown = re.sub(r"//[^/]*@", "//…@", where)
    try:
        url = sa.make_url(where)
    except (ArgumentError, ValueError):
        raise UserError(
            f"{shown} is not a database's URL: write results.db, or postgresql://user@host/name"
        ) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UserError(f"{shown}: a store is in SQLite or PostgreSQL, postgresql://user@host/name")
    if url.database in (None, "", ":memory:"):
        raise UserError(f"{shown} names no database: write sqlite:///results.db, or postgresql://host/name")
    return url.set(drivername="sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg")


def _on_sqlite_connect(wait: float | None, connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: _on_begin does
    connection.execute("PRAGMA foreign_keys = ON")
    seconds = BUSY_SECONDS if wait is None else wait
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def _on_begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("write")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
    else:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _on_network(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether a file is on a network file system, as far as Linux tells."""
    if not mounts.exists():
        return False
    whole = path.resolve()
    kinds = {
        Path(point.encode().decode("unicode_escape")): kind
        for _, point, kind, *_ in map(str.split, mounts.read_text().splitlines())
    }
    kind = next((kinds[folder] for folder in whole.parents if folder in kinds), "")
    return kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs", "9p", "lustre", "ceph", "afs"))


def _migrate(connection: sa.Connection) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    with EnvironmentContext(
        Config(), script, fn=lambda revision, context: script._upgrade_revs("head", revision)
    ) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        environment.run_migrations()
