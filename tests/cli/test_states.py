"""What every command says of a store that it cannot read: what is wrong and what to do, in a line."""

import pytest
import states

from harness.store import Store, database
from harness.store.schema import REVISION

READING = {
    "board": ["board"],
    "compare": ["compare", "gru", "lstm"],
    "curves": ["curves"],
    "report": ["report"],
    "db export": ["db", "export", "results.jsonl"],
    "db retract": ["db", "retract", "1", "--reason", "none"],
}
ASKING = READING | {"run": ["run", "--cell", "gru", "--task", "gap-copy"]}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    return tmp_path / "shared.db"


@pytest.mark.parametrize("command", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("name", states.SAID)
def test_a_store_that_cannot_be_read(harness, path, name, command):
    with states.state(name, path):
        code, out, err = harness(*command, "--db", str(path))
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("harness: ")
    for part in (str(path), *states.SAID[name]):
        assert part in line


@pytest.mark.parametrize("name", ["locked", "no database", "another's", "damaged"])
def test_a_dashboard_does_not_begin_with_such_a_store(harness, path, name):
    """Of one of another revision its pages tell, until it is upgraded."""
    with states.state(name, path):
        code, out, err = harness("dashboard", "--no-browser", "--db", str(path))
    assert (code, out) == (2, "")
    assert all(part in err for part in (str(path), *states.SAID[name]))


@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_no_store(harness, path, command):
    code, out, err = harness(*command, "--db", str(path))
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert f"there is no store at {path} yet" in line
    for way in ("harness run --cell gru --task gap-copy", "harness db import reference", "--db"):
        assert way in line
    assert not path.exists()


@pytest.mark.parametrize("command", ["board", "compare", "curves", "report"])
def test_an_empty_store(harness, path, command):
    Store.open(str(path))
    code, out, err = harness(*READING[command], "--db", str(path))
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert f"{path} holds no results yet" in line
    assert "`harness run --cell gru --task gap-copy` makes some" in line


def test_where_tells_of_another_revision_and_upgrade_mends_an_older_one(harness, path):
    with states.state("newer", path):
        code, out, _ = harness("db", "where", "--db", str(path))
        assert (code, f"{int(REVISION) + 1:04}, newest {REVISION}" in out) == (0, True)
        code, _, err = harness("db", "upgrade", "--db", str(path))
        assert (code, "newer than this harness" in err) == (2, True)
