"""Cells are checked in a process of their own; and how such processes are begun."""

import os
import signal
import time
from pathlib import Path

import fresh_work
import pytest
from broken_cells import BROKEN_APART, SOUND

from harness.checks import QUICK_CHECKS, apart, cells, check_apart, fresh
from harness.registry import find_cell

FIRST = QUICK_CHECKS[:5]


@pytest.fixture(scope="module", autouse=True)
def server():
    """One that finds the work of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(fresh_work.__file__).parent), prepend=os.pathsep)
        patch.setattr(fresh, "_server", None)
        yield


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """The first checks only, `causality` the last but one of them."""
    monkeypatch.setattr(cells, "CELL_CHECKS", FIRST)


@pytest.mark.parametrize("said", BROKEN_APART)
def test_a_cell_that_takes_its_process_along_fails_there_and_the_next_one_is_checked(said, monkeypatch):
    began, told = time.monotonic(), []
    assert {finding.verdict for finding in check_apart(SOUND[0])} == {"passed"}
    if said == "hangs":
        monkeypatch.setattr(apart, "LIMIT", 2 + 3 * (time.monotonic() - began))
    findings = check_apart(BROKEN_APART[said], told.append)
    assert [finding.check for finding in findings] == ["runs", "shapes", "unroll", "causality"] == told
    assert [finding.verdict for finding in findings] == ["passed"] * 3 + ["failed"]
    last = findings[-1]
    assert said in last.measured
    assert "\n" not in last.measured
    assert last.case == "the checks after this one were not made"
    assert (last.subject, last.reason) == (BROKEN_APART[said].id, FIRST[3].reason)
    assert {finding.verdict for finding in check_apart(SOUND[0])} == {"passed"}


def test_options_come_along():
    (first, *_) = check_apart(find_cell("gru[layers=2,reset=before]"))
    assert (first.subject, first.verdict) == ("gru[layers=2,reset=before]", "passed")


def test_every_work_has_a_process_of_its_own():
    (first,), (second,) = (list(fresh.begin(fresh_work.asked, number, "x")) for number in (1, 2))
    assert [first[2], second[2]] == [(1, "x"), (2, "x")]
    assert len({first[0], second[0], first[1], os.getpid()}) == 4
    assert first[1] == second[1]


def test_what_is_raised_is_told():
    with pytest.raises(fresh.Lost, match=r"fresh_work\.py:\d+: ValueError: it cannot be"):
        list(fresh.begin(fresh_work.failing))


def test_who_no_longer_listens_leaves_no_process_behind():
    heard = fresh.begin(fresh_work.silent)
    pid = next(heard)[0]
    heard.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_is_gone_is_told_of_and_another_one_started():
    heard = fresh.begin(fresh_work.silent)
    for process in reversed(next(heard)[:2]):
        os.kill(process, signal.SIGKILL)
    with pytest.raises(fresh.Lost, match="is gone"):
        list(heard)
    assert len(list(fresh.begin(fresh_work.asked))) == 1
