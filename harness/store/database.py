"""Where a store lives: its URL, its revision, and transactions in it. SQLite or PostgreSQL.

SQLite keeps a rollback journal and no write-ahead log. What a log gains is that readers do not wait while
someone commits: milliseconds here. What it costs: up to SQLite 3.51.2 (but for 3.44.6 and 3.50.7) two
processes that write it back at the same instant may damage the file (sqlite.org/wal.html#walresetbug); a
network file system lacks the shared memory that it needs; who may not write in the folder cannot read; and
since a connection lives as long as its transaction, every one would write the log back and delete it, which
takes longer than a journal. A store that an older harness made with a log is given a journal by the next
writer who is alone with it.
"""

import json
import os
import random
import re
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from harness.errors import UserError
from harness.store.schema import REVISION, metadata

DEFAULT = "results.db"
BUSY_SECONDS = 60.0
"""How long a transaction waits for another process that writes."""
RETRY_SECONDS = (0.2, 1.0, 5.0, 15.0, 30.0)
"""The pauses before a transaction whose connection was lost is tried again; then it is given up."""
_IDLE_SECONDS = 30
"""PostgreSQL ends a transaction whose process has stood still for so long: nobody can write before."""
_WRITERS = 0x68_61_72_6E
"""PostgreSQL's advisory lock that is held while writing."""
_NOTICE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Has a server that vanished be noticed within a minute."""
_LOST = ("57P01", "57P02", "57P03", "53300", "25P03", "40001", "40P01")
"""PostgreSQL's states of a server that stops, starts or is full, and of a transaction that it ended."""
_WANTS_WRITER = ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT")
"""SQLite's errors where a file has to be mended, after a writer was killed, before it can be read."""

T = TypeVar("T")


class Database:
    """A store's place. A connection lives as long as its transaction, so threads and forks share none.

    where: a URL or a file's path; else the environment's HARNESS_DB; else `results.db` in the current folder
    wait: seconds to wait for another process that has it locked; BUSY_SECONDS if None
    """

    def __init__(self, where: str | None = None, *, wait: float | None = None) -> None:
        self.url = _url(where or os.environ.get("HARNESS_DB") or DEFAULT)
        self.name = self.url.database if self._sqlite else self.url.render_as_string(hide_password=True)
        self._wait = wait
        self._reached = False
        try:
            self._writer = self._reader = self._engine()
        except ModuleNotFoundError as error:
            raise UserError(
                f"{self.name} needs the driver {error.name}: pip install 'recurrent-harness[postgres]'"
            ) from None
        if self.path:
            only_reads = f"{self.path.absolute().as_uri()}?mode=ro"
            self._reader = self._engine(creator=lambda: sqlite3.connect(only_reads, uri=True))

    def _engine(self, **options: Any) -> sa.Engine:
        if not self._sqlite:
            options["connect_args"] = {k: v for k, v in _NOTICE.items() if k not in self.url.query}
        engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool, **options)
        if self._sqlite:
            sa.event.listen(engine, "connect", self._on_sqlite_connect)
        sa.event.listen(engine, "begin", self._on_begin)
        return engine

    @property
    def wait(self) -> float:
        """Seconds to wait for another process that has it locked."""
        return BUSY_SECONDS if self._wait is None else self._wait

    @property
    def _sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        file = self.url.database
        return Path(file) if self._sqlite and file and not file.startswith("file:") else None

    @property
    def network(self) -> str | None:
        """The kind of network file system that a SQLite store's file is on, as far as Linux tells."""
        return _network(self.path) if self.path else None

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` reads in one transaction; it is called again where the connection to a server is lost.

        Raises UserError when the database cannot be reached or read.
        """
        return self._again(work, write=False)

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """As `read`, but `work` may write. It must be such that a second time changes nothing.

        Raises UserError when the database cannot be reached or written.
        """
        return self._again(work, write=True)

    def _again(self, work: Callable[[sa.Connection], T], *, write: bool) -> T:
        for seconds in RETRY_SECONDS:
            try:
                with self._transaction(write) as connection:
                    return work(connection)
            except DBAPIError as error:
                if not self._lost(error):
                    self._explain(error)
            time.sleep(seconds)
        with self.transaction(write=write) as connection:
            return work(connection)

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """All or nothing; one writer at a time. Without `write` it only reads, and sees one state throughout.

        Raises UserError when the database cannot be reached, read or written.
        """
        try:
            with self._transaction(write) as connection:
                yield connection
        except DBAPIError as error:
            self._explain(error)

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[sa.Connection]:
        with closing(self._begun(write)) as connection:
            self._reached = True
            transaction = connection.get_transaction()
            assert transaction is not None
            with transaction:
                yield connection

    def _begun(self, write: bool) -> sa.Connection:
        """A connection in a transaction."""
        try:
            return _begin(self._writer if write else self._reader, write)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", "") not in _WANTS_WRITER:
                raise
            return _begin(self._writer, write)

    def _on_sqlite_connect(self, connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own: _on_begin does
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = EXTRA")  # what is committed outlives a loss of power too
        connection.execute(f"PRAGMA busy_timeout = {int(self.wait * 1000)}")

    def _queue(self, connection: sa.Connection) -> None:
        """Begin to write, once nobody else does.

        SQLite itself would look ever more rarely, up to 100 ms apart: who comes late overtakes who waits, and
        among many writers one may wait for ever.
        """
        run = connection.exec_driver_sql
        until = time.monotonic() + self.wait
        run("PRAGMA busy_timeout = 0")
        begin = connection.connection.driver_connection.execute  # type: ignore[union-attr]
        while True:
            try:
                begin("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                    run("BEGIN IMMEDIATE")  # it fails as it should
                    break
            time.sleep(random.uniform(0.001, 0.01))
        run(f"PRAGMA busy_timeout = {int(self.wait * 1000)}")

    def _on_begin(self, connection: sa.Connection) -> None:
        write, run = connection.get_execution_options().get("write"), connection.exec_driver_sql
        if self._sqlite:
            run(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
            if write:
                with suppress(OperationalError):  # someone reads a store that still has a log
                    run("PRAGMA journal_mode = DELETE")
                run("PRAGMA cache_spill = OFF")  # readers go on until the commit, however much is written
                self._queue(connection)
            else:
                run("BEGIN")
                run("SELECT count(*) FROM sqlite_master")  # what is read is what is there now
        elif write:
            run(
                f"SELECT set_config('lock_timeout', '{int(self.wait * 1000)}', true), "
                f"set_config('idle_in_transaction_session_timeout', '{_IDLE_SECONDS}s', true)"
            )
            run(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        else:
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def _lost(self, error: DBAPIError) -> bool:
        """Whether it was the connection that failed, and not what was asked."""
        if self._sqlite:
            return False
        state = getattr(error.orig, "sqlstate", None)
        return state in _LOST or (state is None and isinstance(error, OperationalError) and self._reached)

    def _explain(self, error: DBAPIError) -> NoReturn:
        """Raise it, as a UserError where a user can mend it."""
        state, reason = getattr(error.orig, "sqlstate", None), str(error.orig).strip().partition("\n")[0]
        if "not a database" in reason or "malformed" in reason:
            said = f"is not a store: {reason}; give another one with --db"
        elif "locked" in reason or state == "55P03":
            said = "is locked by another process: try again when that has ended"
        elif "readonly" in reason or state in ("25006", "42501"):
            said = "is read-only: copy it to where you may write, or give another with --db"
        elif "disk is full" in reason or state == "53100":
            said = (
                "cannot grow, its disk is full: what it holds is kept; make room and give the command again"
            )
        elif isinstance(error, OperationalError) or type(error) is DatabaseError:
            said = f"cannot be used: {reason}"
        else:
            raise error
        raise UserError(f"{self.name} {said}") from error

    def now(self, connection: sa.Connection) -> float:
        """Seconds since 1970, in UTC, by the one clock of all who share the store."""
        if self._sqlite:
            return time.time()
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

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
        if self.path and self.path.is_dir():
            raise UserError(f"{self.name} is a folder: name a file in it, as in {self.path / DEFAULT}")
        return self.read(self._revision)

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
                f"run `harness db upgrade --db {shlex.quote(str(self.name))}`"
            )

    def _require_not_newer(self, found: str) -> None:
        if found > REVISION:
            raise UserError(
                f"{self.name} is at revision {found}, which is newer than this harness ({REVISION}): "
                "run `pip install --upgrade recurrent-harness`"
            )

    def upgrade(self) -> None:
        """Bring it to the newest revision, from nothing if need be. Raises UserError if it is newer."""
        self.create(self.migrate)

    def create(self, work: Callable[[sa.Connection], None]) -> None:
        """As `write`, where there may be no database yet."""
        if self.path and not (folder := self.path.absolute().parent).is_dir():
            raise UserError(f"there is no folder {folder} to put the store {self.path.name} in")
        self.write(work)

    def migrate(self, connection: sa.Connection) -> None:
        """As `upgrade`, within a transaction."""
        found = self._revision(connection)
        if found is not None:
            self._require_not_newer(found)
        if found != REVISION:
            _migrate(connection)


def _begin(engine: sa.Engine, write: bool) -> sa.Connection:
    connection = engine.connect()
    try:
        connection.execution_options(write=write).begin()
    except BaseException:
        connection.close()
        raise
    return connection


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


def _network(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The kind of network file system that a file is on; None: of none, or Linux does not tell."""
    if not mounts.exists():
        return None
    whole = path.resolve()
    kinds = {
        Path(point.encode().decode("unicode_escape")): kind
        for _, point, kind, *_ in map(str.split, mounts.read_text().splitlines())
    }
    kind = next((kinds[folder] for folder in whole.parents if folder in kinds), "")
    remote = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "lustre", "ceph", "afs", "beegfs", "gpfs")
    return kind if kind.startswith(remote) else None


def _migrate(connection: sa.Connection, to: str = "head") -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    with EnvironmentContext(
        Config(), script, fn=lambda revision, context: script._upgrade_revs(to, revision)
    ) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        environment.run_migrations()
