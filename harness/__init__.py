"""How far does a recurrent cell remember? A benchmark of accuracy against an exact gap.

The public names below are imported when they are first used, so that `import harness` is quick and needs no
torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.adapter import ModuleCell as ModuleCell
    from harness.cell import Cell as Cell
    from harness.errors import UserError as UserError
    from harness.protocol import Protocol as Protocol
    from harness.runner import run as run
    from harness.sweep_file import sweep as sweep
    from harness.task import Batch as Batch
    from harness.task import Role as Role
    from harness.task import Task as Task

_HOMES = {
    "Cell": "harness.cell",
    "ModuleCell": "harness.adapter",
    "UserError": "harness.errors",
    "Protocol": "harness.protocol",
    "run": "harness.runner",
    "sweep": "harness.sweep_file",
    "Batch": "harness.task",
    "Role": "harness.task",
    "Task": "harness.task",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
