"""Installed packages: what their entry points `harness.cells` and `harness.tasks` name."""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.errors import BrokenFile
from harness.registry.files import line_of


@dataclass(frozen=True)
class Plugin:
    """An entry point, `name = "package.module:attribute"`, and the package that has it."""

    name: str
    module: str
    attribute: str
    package: str
    """The distribution and its version."""

    def __str__(self) -> str:
        return f"package {self.package}"

    def path(self) -> Path | None:
        """The module's file, found without importing anything; None where there is none."""
        try:
            top, *inner = self.module.split(".")
            spec = importlib.util.find_spec(top)
            for depth in range(len(inner)):
                places = spec.submodule_search_locations if spec else None
                if places is None:
                    return None
                spec = PathFinder.find_spec(".".join([top, *inner[: depth + 1]]), list(places))
        except (ImportError, ValueError):
            return None
        return Path(spec.origin) if spec and spec.origin and spec.has_location else None

    def load(self) -> Any:
        """What it names, imported. Raises BrokenFile in one line when that fails."""
        try:
            found = importlib.import_module(self.module)
            return getattr(found, self.attribute) if self.attribute else found
        except Exception as error:
            path, first = self.path(), str(error).strip().partition("\n")[0]
            line = line_of(error, path) if path else 0
            where = f"{path}:{line}: " if line else ""
            raise BrokenFile(f"{self.name} of {self}: {where}{type(error).__name__}: {first}") from error


def plugins(group: str) -> Iterator[Plugin]:
    """The entry points of a group: `harness.cells` or `harness.tasks`."""
    for point in sorted(entry_points(group=group)):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
        yield Plugin(point.name, point.module, point.attr, package)


def problems() -> list[str]:
    """What is registered and cannot be used, a line each; nothing else suffers from it."""
    from harness.registry import cells, tasks

    return [*cells.registered().broken.values(), *tasks.registered().broken.values()]
