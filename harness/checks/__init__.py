"""Conformance of cells and tasks: named checks that third parties run like ours."""

from harness.checks.check import Check, Finding
from harness.checks.tasks import CHEAP, TASK_CHECKS, check_task

__all__ = ["CHEAP", "TASK_CHECKS", "Check", "Finding", "check_task"]
