"""Python files outside any package: what they are made of, and running them.

Files are loaded by their path under private module names, so that a folder of the same name elsewhere on the
path is never in the way.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from harness.errors import BrokenFile

ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder that has `submissions/` and `tasks/`."""


def digest(text: str) -> str:
    """The version that a text is."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class SourceFile:
    """A file, and the files beside it that it imports: `from .helper import …`, and what that imports."""

    path: Path

    @cached_property
    def source(self) -> str:
        """The file's text, read once: what runs is what is hashed and recorded, though it be edited since."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def helpers(self) -> dict[str, str]:
        """The texts of the files beside it that it is made of, by module; each after those it imports."""
        found: dict[str, str] = {}
        self._collect(self.source, found, {self.path.stem})
        return found

    def _collect(self, source: str, found: dict[str, str], seen: set[str]) -> None:
        for name in _imported_from_beside(source):
            path = self.path.with_name(f"{name}.py")
            if name not in seen and path.is_file():
                seen.add(name)
                text = path.read_text(encoding="utf-8")
                self._collect(text, found, seen)
                found[name] = text

    @cached_property
    def whole(self) -> str:
        """The text of all that it is made of: its own first."""
        parts = [f"\n\n# ——— {name}.py ———\n\n{text}" for name, text in sorted(self.helpers.items())]
        return "".join([self.source, *parts])

    @property
    def version(self) -> str:
        """The hash of all that it is made of."""
        return digest(self.whole)

    def load(self) -> ModuleType:
        """Its module, run once for each place and version. Raises BrokenFile with file and line if it fails.

        It is compiled from the source that the version is the hash of: an import could find a stale cache, or
        a file that was edited since.
        """
        package = f"_harness_{self.path.stem}_{digest(f'{self.path} {self.whole}')}"
        if package not in sys.modules:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = []
            for name, text in self.helpers.items():
                self._run(package, name, text)
        if f"{package}.{self.path.stem}" not in sys.modules:
            self._run(package, self.path.stem, self.source)
        return sys.modules[f"{package}.{self.path.stem}"]

    def _run(self, package: str, stem: str, source: str) -> None:
        name, path = f"{package}.{stem}", self.path.with_name(f"{stem}.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            exec(compile(source, str(path), "exec"), vars(module))
        except (Exception, SystemExit) as error:
            del sys.modules[name], sys.modules[package]
            said = str(error).replace(package, "")
            raise BrokenFile(f"{path}:{line_of(error, path)}: {type(error).__name__}: {said}") from error
        setattr(sys.modules[package], stem, module)


def _imported_from_beside(source: str) -> Iterator[str]:
    """The modules of the same folder that a source imports: `from .a import …`, `from . import b`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return  # it is told where the file is run
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module] if node.module else [alias.name for alias in node.names]


def line_of(error: BaseException, path: Path) -> int:
    """The line of the file at which the error arose."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
