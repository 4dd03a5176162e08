"""The checks pass every task that there is, and find each broken one for its reason, and for no other."""

import pytest
from broken_tasks import BROKEN

from harness.checks import CHEAP, TASK_CHECKS, check_task
from harness.registry import find_task, task_classes

VARIANTS = [
    "gap-bracket[depth=1]",
    "gap-hop[hops=3]",
    "gap-order[symbols=3]",
    "gap-parity[additions=3,modulus=5]",
    "gap-recall[overwrite=true]",
    "gap-select[payload=10]",
    "nl-birthplace[pronoun=true]",
]


def failed(task, checks=CHEAP):
    return [finding for finding in (check(task) for check in checks if check.applies(task))
            if finding.verdict == "failed"]  # fmt: skip


def slow(name):
    """A task in English takes some seconds."""
    return pytest.param(name, marks=pytest.mark.slow) if find_task(name).text else name


@pytest.mark.parametrize("name", [slow(name) for name in [*task_classes(), *VARIANTS]])
def test_every_task_passes(name):
    findings = failed(find_task(name))
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.parametrize("name", BROKEN)
def test_every_bug_is_found_by_its_checks_and_by_no_other(name):
    task, checks = BROKEN[name]
    findings = failed(task)
    assert {finding.check for finding in findings} == checks, "\n".join(map(str, findings))
    assert all(finding.case for finding in findings)


CASES = {
    ("BlanksScored", "shortcuts"): "by the majority right in 1.000",
    ("SeededByIndex", "streams"): "gap 40: 512 rows of batch ('train', 0, 0)",
    ("OffByOne", "dependency"): "gap 0: the last cue is 1 away",
    ("FillerCounts", "clock"): "[2, 3, 4, 5, 6, 7, 8, 9, 2,",
    ("WithReplacement", "oracle"): "scattered.py:",
    ("CueUnmarked", "dependency"): "(prefix) makes the answer",
    ("OracleWrong", "oracle"): "the oracle says 1, the target is 0 of: +0 +0 +1 +1 =",
    ("Unbalanced", "balance"): "3 rows, query 0: 0 0, 1 3",
    ("LengthTells", "shortcuts"): "by the length",
    ("DecoyTells", "shortcuts"): "by what follows the cue, by place",
    ("LastMentionedTells", "mentions"): "the last of a row's mentions is right in 1.000",
    ("AnyGap", "layout"): "gap -1",
}


@pytest.mark.parametrize(("name", "check"), CASES)
def test_what_is_shown_is_the_bug(name, check):
    task, _ = BROKEN[name]
    (finding,) = failed(task, [one for one in CHEAP if one.name == check])
    assert CASES[name, check] in finding.case


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict"), [("gap-latch", "passed"), ("gap-echo", "passed"), ("gap-bracket", "passed")]
)
def test_a_task_whose_cue_is_anothers_is_at_chance(name, verdict):
    (finding,) = [one(find_task(name)) for one in TASK_CHECKS if one.name == "ablation"]
    assert finding.verdict == verdict, finding
    assert finding.figures["accuracy"] > 0.99


@pytest.mark.slow
def test_what_a_network_learned_from_elsewhere_than_the_cue_is_found():
    (finding,) = [one(BROKEN["DecoyTells"][0]) for one in TASK_CHECKS if one.name == "ablation"]
    assert finding.verdict == "failed"
    assert finding.figures["shuffled"] > finding.figures["limit"]


@pytest.mark.slow
def test_all_checks_of_a_task():
    told = []
    findings = check_task(find_task("gap-latch"), told.append)
    assert told == [finding.check for finding in findings]
    assert told == [check.name for check in TASK_CHECKS if check.name != "mentions"]
    assert {finding.verdict for finding in findings} == {"passed", "reported"}
    by_name = {finding.check: finding.figures for finding in findings}
    assert by_name["reservoir"]["gaps"] == (2, 16)
    assert by_name["reservoir"]["gru"][0] > 0.99
    assert by_name["guessing"]["solved"][1] > 0  # an easy one
