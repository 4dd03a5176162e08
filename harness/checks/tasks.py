"""The conformance checks of tasks."""

from collections.abc import Callable

from harness.checks.check import Check, Finding
from harness.checks.dependency import dependency
from harness.checks.sameness import disjoint, same_bytes
from harness.checks.samples import balance, clock, layout, oracle, question
from harness.checks.shortcuts import mentions, shortcuts
from harness.checks.training import ablation, guessing, reservoir
from harness.task import Task

CHEAP: tuple[Check[Task], ...] = (
    Check(
        "layout",
        "A batch in another form than it says trains something else, or nothing.",
        layout,
    ),
    Check(
        "dependency",
        "A gap that is not what it is said to be puts every point of a curve in the wrong place.",
        dependency,
    ),
    Check("oracle", "Where the targets are wrong no cell can be right.", oracle),
    Check(
        "balance", "An answer that is asked for more often than others is right without a memory.", balance
    ),
    Check(
        "question",
        "A cell that cannot tell when it is asked learns to count instead.",
        question,
        lambda task: not task.text,  # there any word may be followed by the answer
    ),
    Check("clock", "An input that tells the time does the counting for the cell.", clock),
    Check("shortcuts", "What is told outside the cue needs no memory over the gap.", shortcuts),
    Check(
        "mentions",
        "Where the first or last candidate is the answer, a cell need not know which is meant.",
        mentions,
        lambda task: task.text,
    ),
    Check(
        "bytes", "Results of samples that are drawn anew, or have changed, cannot be compared.", same_bytes
    ),
    Check("streams", "Test rows that were trained on measure what was learned by heart.", disjoint),
    Check(
        "guessing",
        "What random weights solve untrained proves little of a cell that solves it.",
        guessing,
    ),
)
"""Those that train nothing."""

TRAINING: tuple[Check[Task], ...] = (
    Check("ablation", "What is right without the right cue was not remembered from it.", ablation),
    Check(
        "reservoir", "What a network that learned no recurrence remembers, a cell need not learn.", reservoir
    ),
)
"""Those that train."""

TASK_CHECKS = CHEAP + TRAINING


def check_task(task: Task, report: Callable[[str], None] = lambda name: None) -> list[Finding]:
    """The findings of every check that applies to a task.

    report: told the name of each check before it is run

    >>> from harness.registry import find_task
    >>> [f.verdict for f in check_task(find_task("gap-latch"))]  # doctest: +SKIP
    """
    findings = []
    for check in TASK_CHECKS:
        if check.applies(task):
            report(check.name)
            findings.append(check(task))
    return findings
