"""`harness check`: a table per task, JSON, and what the exit code says."""

import json
import sys

import pytest
from broken_tasks import BROKEN

from harness import checks
from harness.checks import CHEAP, tasks
from harness.cli import check, main
from harness.registry import task_classes


@pytest.fixture
def harness(monkeypatch, capsys):
    """`harness(*arguments)`: exit code, standard output and standard error; nothing is trained."""

    def run(*arguments):
        monkeypatch.setattr(tasks, "TASK_CHECKS", CHEAP)
        monkeypatch.setattr(sys, "argv", ["harness", "check", *arguments])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code, *capsys.readouterr()

    return run


def test_a_table_per_task_with_what_was_measured(harness):
    code, out, err = harness("--task", "gap-latch", "--task", "gap-copy[payload=2]")
    assert code == 0
    first, second = out.strip().split("\n\n")
    assert first.splitlines()[0].strip() == "gap-latch@1"
    assert second.splitlines()[0].strip() == "gap-copy@1[payload=2]"
    for line, one in zip(first.splitlines()[1:], [c for c in CHEAP if c.name != "mentions"], strict=True):
        assert line.split()[0] == one.name
        assert line.split()[1] in ("passed", "reported")
    assert "as asked at 0 1 5 17 64 300 1000" in first
    assert err.splitlines() == ["1/2 gap-latch@1", "2/2 gap-copy@1[payload=2]"]


def test_json_has_a_line_per_check(harness):
    code, out, _ = harness("--task", "gap-order", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["task"] for row in rows} == {"gap-order@1"}
    by_check = {row["check"]: row for row in rows}
    assert by_check["dependency"]["figures"]["gaps"] == [0, 1, 5, 17, 64, 300, 1000]
    assert set(rows[0]) == {
        "task", "check", "verdict", "measured", "figures", "case", "reason", "seconds"
    }  # fmt: skip


def test_what_fails_is_shown_with_its_case_and_its_reason_and_the_exit_code_is_1(harness, monkeypatch):
    monkeypatch.setattr(check, "find_task", lambda name: BROKEN["OffByOne"][0])
    code, out, _ = harness("--task", "gap-parity")
    assert code == 1
    assert "failed" in out
    assert "the last cue is 1 away, of: +" in out
    assert next(one.reason for one in CHEAP if one.name == "dependency") in out


def test_all_is_every_registered_task(harness, monkeypatch):
    monkeypatch.setattr(checks, "check_task", lambda task, report: [CHEAP[0](task)])
    code, out, _ = harness("--task", "all", "--json")
    assert code == 0
    assert [json.loads(line)["task"] for line in out.splitlines()] == [
        task().id for task in task_classes().values()
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "harness: nothing to check: give --task NAME, or --task all\n"),
        (["--task", "gap-ltch"], "harness: unknown task 'gap-ltch': did you mean gap-latch?\n"),
        (["--task", "gap-copy[pay=1]"], "harness: unknown option of gap-copy 'pay': did you mean payload?\n"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(harness, arguments, message):
    code, out, err = harness(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
