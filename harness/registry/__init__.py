"""Finding cells and tasks by name. Listing names imports no cell, and so no torch.

There are three doors: a file by its path, a folder (the published ones, those of the current folder, and
`HARNESS_SUBMISSIONS`), and installed packages (entry points `harness.cells` and `harness.tasks`). What comes
through one is like what comes through another: the published cells and tasks are no exception.
"""

from harness.registry.cells import (
    CellFile,
    CellSpec,
    cell_files,
    expected_failures,
    find_cell,
    is_foreign,
    is_reference,
)
from harness.registry.files import ROOT
from harness.registry.plugins import problems
from harness.registry.tasks import SUITE, find_task, suite, suite_id, task_classes

__all__ = [
    "ROOT",
    "SUITE",
    "CellFile",
    "CellSpec",
    "cell_files",
    "expected_failures",
    "find_cell",
    "find_task",
    "is_foreign",
    "is_reference",
    "problems",
    "suite",
    "suite_id",
    "task_classes",
]
