"""Conformance of cells and tasks: named checks that third parties run like ours."""

from harness.checks.apart import check_apart
from harness.checks.cells import CELL_CHECKS, QUICK_CHECKS, check_cell
from harness.checks.check import Check, Finding
from harness.checks.specimen import Specimen
from harness.checks.tasks import CHEAP, TASK_CHECKS, check_task

__all__ = [
    "CELL_CHECKS",
    "CHEAP",
    "QUICK_CHECKS",
    "TASK_CHECKS",
    "Check",
    "Finding",
    "Specimen",
    "check_apart",
    "check_cell",
    "check_task",
]
