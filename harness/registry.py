"""Finding cells and tasks by name. Listing names imports no cell, and so no torch.

Every file of a folder of submissions is one cell, named after the file: `depth_gated.py` is `depth-gated`.
The published cells come through the same door as anyone's. Files are loaded by their path under private
module names, so that a folder of the same name elsewhere on the path is never in the way.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.errors import UserError, unknown
from harness.ids import Id, signature_options, spell, typed
from harness.task import Task

if TYPE_CHECKING:
    from harness.cell import Cell

ROOT = Path(__file__).resolve().parent.parent
SUITE = "core"


@dataclass(frozen=True)
class CellFile:
    """A cell's file: what can be known of the cell without importing it."""

    path: Path

    @property
    def name(self) -> str:
        """The cell's name: the file's, with dashes."""
        return self.path.stem.replace("_", "-")

    @cached_property
    def source(self) -> str:
        """The file's text, read once: what runs is what is hashed and recorded, though it be edited since."""
        return self.path.read_text(encoding="utf-8")

    @property
    def version(self) -> str:
        """The hash of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:12]

    def summary(self) -> tuple[str, str]:
        """The first line of the cell's docstring and its options, `key=default`, read off the syntax."""
        try:
            node = _public_class(self.source)
        except SyntaxError as error:
            return f"broken: line {error.lineno}: {error.msg}", ""
        if node is None:
            return "no cell in it", ""
        doc = (ast.get_docstring(node) or "").partition("\n")[0]
        inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        arguments = [
            (a.arg, d) for n in inits for a, d in zip(n.args.kwonlyargs, n.args.kw_defaults, strict=True)
        ]
        return doc, ", ".join(f"{name}={ast.unparse(d).strip(chr(39))}" for name, d in arguments if d)


def _public_class(source: str) -> ast.ClassDef | None:
    """The syntax of the first public class of a cell's source. Raises SyntaxError."""
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return next((node for node in classes if not node.name.startswith("_")), None)


def is_reference(source: str) -> bool:
    """Whether the cell of this source says `reference = True`, read off the syntax."""
    try:
        node = _public_class(source)
    except SyntaxError:
        return False
    return node is not None and "reference = True" in map(ast.unparse, node.body)


@dataclass(frozen=True)
class CellSpec:
    """A cell that was asked for: its class and its options, ready to be built at any width."""

    file: CellFile
    cls: "type[Cell]"
    options: dict[str, Any] = field(default_factory=dict)
    layers: int = 1

    @property
    def name(self) -> str:
        """The cell's name without options."""
        return self.file.name

    @property
    def id(self) -> str:
        """Name and options that differ from their defaults; the version is the file's."""
        options = {key: spell(value) for key, value in self.options.items()}
        if self.layers != 1:
            options["layers"] = str(self.layers)
        return str(Id(self.name, None, dict(sorted(options.items()))))

    @property
    def reference(self) -> str:
        """What finds this cell from anywhere: its file's path with its options."""
        return f"{self.file.path}{self.id.removeprefix(self.name)}"

    def widths(self, low: int, high: int) -> Iterable[int]:
        """The hidden sizes in [low, high] that the cell admits with these options."""
        with self.refusals():
            return self.cls.widths(low, high, **self.options)

    def build(self, input_size: int, hidden_size: int) -> "Cell":
        """A new cell, its weights from torch's global generator. Raises UserError if it refuses."""
        from harness.cell import Stack

        with self.refusals():
            if self.layers == 1:
                return self.cls(input_size, hidden_size, **self.options)
            sizes = [input_size] + [hidden_size] * (self.layers - 1)
            return Stack(self.cls(size, hidden_size, **self.options) for size in sizes)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """What the cell raises in here is a UserError: a ValueError in its words, all else with its line."""
        try:
            yield
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"cell {self.id}: {error}") from error
        except Exception as error:
            where, first = _line(error, self.file.path), str(error).strip().partition("\n")[0]
            message = f"cell {self.id}: {self.file.path}:{where}: {type(error).__name__}: {first}"
            raise UserError(message) from error


def cell_files() -> dict[str, CellFile]:
    """Every registered cell by name: the published ones and those in `submissions/` of the current folder.

    Raises UserError when two different files have the same name.
    """
    found: dict[str, CellFile] = {}
    for folder in (ROOT / "submissions", Path.cwd() / "submissions"):
        for path in sorted(folder.glob("[!_]*.py")):
            new = CellFile(path)
            _require_same(found.setdefault(new.name, new), new)
    return found


def _require_same(old: CellFile, new: CellFile) -> None:
    if old.source != new.source:
        raise UserError(f"two cells are named {new.name}: {old.path} and {new.path}; rename one of the files")


def find_cell(text: str) -> CellSpec:
    """The cell that an id or a file's path means: `gru`, `lstm[layers=2]`, `path/to/my_cell.py[option=1]`.

    A file identical to a registered one is that one. Raises UserError on an unknown name or option, on a file
    that cannot be loaded, and on one that has the name of another cell.
    """
    head, _, rest = text.partition("[")
    files = cell_files()
    if head.endswith(".py"):
        file = CellFile(Path(head).expanduser().resolve())
        if not file.path.is_file():
            raise UserError(f"there is no file {head}")
        file = next((known for known in files.values() if known.source == file.source), file)
        _require_same(files.get(file.name, file), file)
        id = Id.parse(f"{file.name}[{rest}" if rest else file.name)
    else:
        id = Id.parse(text)
        if id.name not in files:
            raise unknown("cell", id.name, files)
        file = files[id.name]
    if id.version not in (None, file.version):
        raise UserError(f"cell {id.name} is at version {file.version}; version {id.version} is not here")
    return _spec(file, id)


def _spec(file: CellFile, id: Id) -> CellSpec:
    cls = _cell_class(file)
    known = signature_options(cls)
    stackable = "layers" not in known
    if stackable:
        known["layers"] = inspect.Parameter(
            "layers", inspect.Parameter.KEYWORD_ONLY, default=1, annotation=int
        )
    options = typed(id.name, id.options, known)
    layers = options.pop("layers", 1) if stackable else 1
    if layers < 1:
        raise UserError(f"option layers={layers} of {id.name}: must be at least 1")
    return CellSpec(file, cls, {k: v for k, v in options.items() if v != known[k].default}, layers)


def _cell_class(file: CellFile) -> "type[Cell]":
    from harness.cell import Cell

    module = _load(file, f"_harness_cell_{file.path.stem}_{file.version}")
    own = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Cell) and c.__module__ == module.__name__
    ]
    cells = [c for c in own if not c.__name__.startswith("_")]
    if len(cells) != 1:
        names = ", ".join(c.__name__ for c in cells) or "none"
        raise UserError(f"{file.path}: a file holds one subclass of harness.Cell, here are: {names}")
    return cells[0]


def _load(file: CellFile, name: str) -> ModuleType:
    """The module of a file under a private name. Raises UserError naming file and line when it fails.

    It is compiled from the source that the version is the hash of: an import could find a stale cache, or a
    file that was edited since.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(file.source, str(file.path), "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{file.path}:{_line(error, file.path)}: {type(error).__name__}: {error}") from error
    return module


def _line(error: Exception, path: Path) -> int:
    """The line of the file at which the error arose."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@cache
def task_classes() -> dict[str, type[Task]]:
    """Every registered task by name."""
    package = _load_package(ROOT / "tasks", "_harness_tasks")
    found: dict[str, type[Task]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for cls in vars(module).values():
            is_task = isinstance(cls, type) and issubclass(cls, Task) and hasattr(cls, "name")
            if is_task and found.setdefault(cls.name, cls) is not cls:
                raise UserError(f"two tasks are named {cls.name}")
    return dict(sorted(found.items()))


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
    classes = task_classes()
    if id.name not in classes:
        raise unknown("task", id.name, classes)
    return classes[id.name].from_id(id)


@cache
def suite(name: str = SUITE) -> tuple[str, ...]:
    """The ids of a suite's tasks, in order. A suite is a frozen list; `--task all` is the suite `core`."""
    suites = {p.stem: p for p in (ROOT / "tasks").glob("*.toml")}
    if name not in suites:
        raise unknown("suite", name, suites)
    content = tomllib.loads(suites[name].read_text(encoding="utf-8"))
    return tuple(content["tasks"])
