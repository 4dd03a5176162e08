"""`harness db`."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import synthetic
from click.testing import CliRunner

from harness.cli.db import command
from harness.errors import UserError
from harness.store import Store
from harness.store.schema import REVISION

GOLDEN = Path(__file__).parents[1] / "store" / "golden" / f"{REVISION}.sql"


@pytest.fixture
def db(tmp_path: Path) -> str:
    """A store of three runs, a retracted one and three attempts."""
    file = tmp_path / "results.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(GOLDEN.read_text(encoding="utf-8"))
    return str(file)


def invoke(*arguments: str) -> str:
    """What a command prints. Raises what the command raises."""
    result = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_where_tells_the_place_the_revision_and_how_much_there_is(db):
    said = json.loads(invoke("where", "--json", "--db", db))
    assert said == {
        "store": db, "bytes": Path(db).stat().st_size, "revision": REVISION, "newest_revision": REVISION,
        "runs": 3, "retracted": 1, "attempts": 3,
    }  # fmt: skip
    printed = invoke("where", "--db", db)
    for text in (db, REVISION, "3, and 1 retracted"):
        assert text in printed


def test_where_tells_of_a_store_that_is_not_there_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    said = json.loads(invoke("where", "--json"))
    assert said == {
        "store": str(tmp_path / "results.db"), "bytes": None, "revision": None, "newest_revision": REVISION,
    }  # fmt: skip
    assert "none yet" in invoke("where")
    assert not list(tmp_path.iterdir())


def test_where_tells_of_an_older_store(db):
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    assert json.loads(invoke("where", "--json", "--db", db))["revision"] == "0000"


def test_upgrade(tmp_path):
    db = str(tmp_path / "results.db")
    assert invoke("upgrade", "--db", db) == f"{db} is at revision {REVISION}\n"
    assert invoke("upgrade", "--db", db) == f"{db} is at revision {REVISION} already\n"


def test_retract(db):
    assert (
        invoke("retract", "1", "--reason", "the GPU was faulty", "--db", db)
        == f"run 1 is retracted from {db}\n"
    )
    assert Store.open(db).counts() == {"runs": 2, "retracted": 2, "attempts": 3}
    with pytest.raises(UserError, match="there is no run 1 in"):
        invoke("retract", "1", "--reason", "again", "--db", db)


def test_export_and_import(tmp_path):
    one, other, file = (str(tmp_path / name) for name in ("one.db", "other.db", "results.jsonl"))
    synthetic.record(Store.open(one), "gru")
    said = invoke("export", file, "--db", one)
    assert said == f"24 runs of {one} are in {file}, {len(Path(file).read_text().splitlines())} lines\n"
    assert invoke("import", file, "--db", other) == f"24 runs are new in {other}, as reported, 0 were there\n"
    assert invoke("import", file, "--db", other) == f"0 runs are new in {other}, as reported, 24 were there\n"


def test_copy(db, tmp_path):
    other = str(tmp_path / "other.db")
    assert invoke("copy", db, other) == f"3 runs, 1 retracted, and 3 attempts are in {other}\n"
    with pytest.raises(UserError, match=r"other\.db is not empty: a store is copied to where"):
        invoke("copy", db, other)
    with pytest.raises(UserError, match=r"there is no store at nowhere\.db"):
        invoke("copy", "nowhere.db", str(tmp_path / "third.db"))
    assert not (tmp_path / "third.db").exists()


def test_a_file_that_is_refused_makes_no_store(tmp_path):
    (tmp_path / "results.jsonl").write_text("[]\n")
    with pytest.raises(UserError, match=r"results\.jsonl, line 1: "):
        invoke("import", str(tmp_path / "results.jsonl"), "--db", str(tmp_path / "results.db"))
    assert not (tmp_path / "results.db").exists()


def test_what_cannot_be_written_is_said(tmp_path):
    db = str(tmp_path / "one.db")
    Store.open(db)
    with pytest.raises(UserError, match="cannot be written: No such file"):
        invoke("export", str(tmp_path / "no" / "file"), "--db", db)


def test_retracting_makes_no_store(tmp_path):
    with pytest.raises(UserError, match="there is no store"):
        invoke("retract", "1", "--reason", "x", "--db", str(tmp_path / "results.db"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["where", "upgrade", "retract", "export", "import", "copy"])
def test_every_help_has_an_example(name):
    said = invoke(name, "--help")
    assert "Example" in said
    assert f"harness db {name} " in said or f"harness db {name}\n" in said


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
    arguments = ["-m", "harness", "db", "where", "--db", "mysql://host/results"]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "harness: mysql://host/results: a store is in SQLite or PostgreSQL, postgresql://user@host/name\n"
    )


def test_a_network_file_system_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.store.database._network", lambda path: "nfs4")
    db = str(tmp_path / "results.db")
    result = CliRunner().invoke(command, ["upgrade", "--db", db], catch_exceptions=False)
    (line,) = result.stderr.splitlines()
    assert line == (
        f"harness: warning: {db} is on a network file system (nfs4), where processes may not see each "
        "other's locks: keep it on a local disk, or give PostgreSQL's URL with --db"
    )
    assert result.stdout == f"{db} is at revision {REVISION}\n"


def test_it_loads_neither_pandas_nor_torch():
    light = "import sys, harness.cli.db; assert not {'torch', 'pandas', 'streamlit'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", light], check=True)
