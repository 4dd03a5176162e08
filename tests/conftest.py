import os
import shutil
import signal
import sys
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, and so by children too

sys.path.insert(0, str(Path(__file__).parent / "support"))

from postgres import Server, binaries  # noqa: E402

_TOOLS = {"browser": ("chromium", "chromium-browser", "google-chrome"), "compiler": ("c++", "g++", "clang++")}


@pytest.fixture(scope="session")
def require():
    """`require("browser")`: the path of such a tool.

    Where there is none the test is skipped, or fails when HARNESS_TEST_REQUIRE has it: `browser,compiler`.
    """

    def find(kind):
        found = next(filter(None, map(shutil.which, _TOOLS[kind])), None)
        if found is None:
            _lack(kind, f"needs a {kind}: none of {', '.join(_TOOLS[kind])} is on the path")
        return found

    return find


def _lack(kind, reason):
    if kind in os.environ.get("HARNESS_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{reason}, and HARNESS_TEST_REQUIRE asks for it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require_postgres():
    """Without PostgreSQL's programs the test is skipped, or fails."""
    if binaries() is None:
        _lack("postgres", "needs PostgreSQL: initdb is neither on the path nor in /usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgres_server(require_postgres):
    """A PostgreSQL server of this session's own."""
    server = Server()
    yield server
    server.remove()


def _schema(request):
    server = os.environ.get("TEST_DB_URL") or request.getfixturevalue("postgres_server").url
    schema = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(sa.make_url(server).set(drivername="postgresql+psycopg"))
    with admin.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    admin.dispose()
    own = {"options": f"-csearch_path={schema}"}
    yield sa.make_url(server).update_query_dict(own).render_as_string(hide_password=False)
    with admin.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    admin.dispose()


@pytest.fixture
def postgres_url(request):
    """The URL of a PostgreSQL schema of the test's own: on TEST_DB_URL, else on this session's server."""
    yield from _schema(request)


@pytest.fixture
def other_postgres_url(request):
    """As postgres_url, but another."""
    yield from _schema(request)
