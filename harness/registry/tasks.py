"""Tasks by name: the published ones, those of a folder `tasks/` here, and of installed packages."""

import importlib
import importlib.util
import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UserError, unknown
from harness.ids import Id
from harness.registry.files import ROOT, SourceFile
from harness.registry.plugins import plugins
from harness.task import Task

SUITE = "core"


@dataclass
class Registered:
    """What there is by name, and why what was to be there is not."""

    classes: dict[str, type[Task]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, cls: type[Task], origin: str) -> None:
        """Raises UserError when another class has the name."""
        if self.classes.setdefault(cls.name, cls) is not cls:
            first = self.origins[cls.name]
            raise UserError(f"two tasks are named {cls.name}: {first} and {origin}; rename one of them")
        self.origins.setdefault(cls.name, origin)


def task_classes() -> dict[str, type[Task]]:
    """Every registered task by name. Raises UserError when two have the same."""
    return dict(sorted(registered().classes.items()))


def registered() -> Registered:
    """Every task, through every door. Raises UserError when two have the same name."""
    found = Registered()
    for cls in _published():
        found.add(cls, str(ROOT / "tasks"))
    for path in sorted((Path.cwd() / "tasks").glob("[!_]*.py")):
        file, ours = SourceFile(path), ROOT / "tasks" / path.name
        if ours.is_file() and ours.read_text(encoding="utf-8") == file.source:
            continue
        try:
            classes = list(_tasks_in(file.load()))
        except UserError as error:
            found.broken[str(path)] = str(error)
            continue
        for cls in classes:
            found.add(cls, str(path))
    for plugin in plugins("harness.tasks"):
        try:
            cls = plugin.load()
        except UserError as error:
            found.broken[plugin.name] = str(error)
            continue
        if not (isinstance(cls, type) and issubclass(cls, Task) and hasattr(cls, "name")):
            found.broken[plugin.name] = f"{plugin.name} of {plugin}: it names no subclass of harness.Task"
            continue
        found.add(cls, str(plugin))
    return found


@cache
def _published() -> tuple[type[Task], ...]:
    package = _load_package(ROOT / "tasks", "_harness_tasks")
    names = [info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(cls for module in modules for cls in _tasks_in(module))


def _tasks_in(module: ModuleType) -> Iterator[type[Task]]:
    for cls in vars(module).values():
        named = isinstance(cls, type) and issubclass(cls, Task) and hasattr(cls, "name")
        if named and cls.__module__ == module.__name__:
            yield cls


def _load_package(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def find_task(text: str) -> Task:
    """The task that an id means. Raises UserError on an unknown name, option or version."""
    id = Id.parse(text)
    found = registered()
    if id.name in found.broken:
        raise UserError(found.broken[id.name])
    if id.name not in found.classes:
        raise unknown("task", id.name, found.classes)
    return found.classes[id.name].from_id(id)


def suite(name: str = SUITE) -> tuple[str, ...]:
    """The ids of a suite's tasks, in order. A suite is a frozen list; `--task all` is the suite `core`."""
    return tuple(_suite(name)["tasks"])


def suite_id(name: str = SUITE) -> str:
    """A suite's name and version: `core@1`."""
    return f"{name}@{_suite(name)['version']}"


@cache
def _suite(name: str) -> dict[str, Any]:
    suites = {p.stem: p for p in (ROOT / "tasks").glob("*.toml")}
    if name not in suites:
        raise unknown("suite", name, suites)
    return tomllib.loads(suites[name].read_text(encoding="utf-8"))
