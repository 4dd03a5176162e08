"""Cells by name: every file of a folder of submissions is one, or by path, or from an installed package.

`depth_gated.py` is `depth-gated`. The published cells come through the same door as anyone's.
"""

import ast
import inspect
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BrokenFile, UserError, unknown
from harness.ids import Id, signature_options, spell, typed
from harness.registry.files import ROOT, SourceFile, digest, line_of
from harness.registry.plugins import Plugin, plugins

if TYPE_CHECKING:
    from harness.cell import Cell


@dataclass(frozen=True)
class CellFile(SourceFile):
    """A cell's file: what can be known of the cell without importing it.

    class_name: the cell's class, where it was named; else the file holds one cell
    plugin: the entry point that names it
    """

    class_name: str | None = None
    plugin: Plugin | None = None

    @property
    def name(self) -> str:
        """The cell's name: the entry point's; else the file's, with dashes, and the class if it was named."""
        if self.plugin:
            return self.plugin.name
        stem = self.path.stem.replace("_", "-")
        return f"{stem}.{self.class_name}" if self.class_name else stem

    @property
    def version(self) -> str:
        """The hash of what is recorded of it."""
        return digest(self.recorded)

    @property
    def recorded(self) -> str:
        """The text of all that it is made of; of a package's with its release, which holds the rest."""
        return f"{self.whole}\n# {self.plugin}\n" if self.plugin else self.whole

    @property
    def place(self) -> str:
        """Where it is, in words: a package or a path."""
        return str(self.plugin or self.reference)

    @property
    def reference(self) -> str:
        """What finds it from anywhere."""
        if self.plugin:
            return self.plugin.name
        return f"{self.path}:{self.class_name}" if self.class_name else str(self.path)

    def summary(self) -> tuple[str, str]:
        """The first line of the cell's docstring and its options, `key=default`, read off the syntax."""
        try:
            node = _class_node(self.whole, self.class_name)
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

    def cell_class(self) -> "type[Cell]":
        """The cell's class, imported. Raises BrokenFile where that fails, or the file does not hold one."""
        from harness.cell import Cell

        if self.plugin:
            cls = self.plugin.load()
            if not (isinstance(cls, type) and issubclass(cls, Cell)):
                raise BrokenFile(f"{self.name} of {self.plugin}: it names no subclass of harness.Cell")
            return cls
        module = self.load()
        cells = {
            c.__name__: c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, Cell) and c.__module__ == module.__name__
        }
        if self.class_name:
            if self.class_name not in cells:
                raise unknown(f"cell of {self.path}", self.class_name, cells)
            return cells[self.class_name]
        public = [name for name in cells if not name.startswith("_")]
        if len(public) != 1:
            here = ", ".join(public) or "none"
            way = f"; name one, as in {self.path.name}:{public[0]}" if public else ""
            raise BrokenFile(f"{self.path}: a file holds one subclass of harness.Cell, here are: {here}{way}")
        return cells[public[0]]


def _class_node(source: str, name: str | None = None) -> ast.ClassDef | None:
    """The syntax of this class of a cell's source, or of its first public one. Raises SyntaxError."""
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    wanted = (node for node in classes if (node.name == name if name else not node.name.startswith("_")))
    return next(wanted, None)


def is_reference(source: str, class_name: str | None = None) -> bool:
    """Whether the cell of this source says `reference = True`, read off the syntax."""
    try:
        node = _class_node(source, class_name)
    except SyntaxError:
        return False
    return node is not None and "reference = True" in map(ast.unparse, node.body)


def expected_failures(source: str, class_name: str | None = None) -> dict[str, str]:
    """By the name of a check, why the cell of this source has to fail it, read off the syntax."""
    try:
        node = _class_node(source, class_name)
    except SyntaxError:
        return {}
    for statement in node.body if node else ():
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if ast.unparse(target) == "expected_failures" and statement.value:
            try:
                return {str(check): str(why) for check, why in ast.literal_eval(statement.value).items()}
            except (ValueError, AttributeError):
                return {}
    return {}


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
        """What finds this cell from anywhere: its file's path, or its name if installed, with its options."""
        return f"{self.file.reference}{self.id.removeprefix(self.name)}"

    def widths(self, low: int, high: int) -> Iterable[int]:
        """The hidden sizes in [low, high] that the cell admits with these options."""
        with self.refusals():
            return self.cls.widths(low, high, **self.options)

    def build(self, input_size: int, hidden_size: int) -> "Cell":
        """A new cell, its weights from torch's global generator. Raises UserError if it refuses."""
        from harness.cell import stack

        with self.refusals():
            if self.layers == 1:
                return self.cls(input_size, hidden_size, **self.options)
            sizes = [input_size] + [hidden_size] * (self.layers - 1)
            return stack(self.cls(size, hidden_size, **self.options) for size in sizes)

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
            node = _class_node(self.file.source, self.cls.__name__)
            where = line_of(error, self.file.path) or (node.lineno if node else 0)  # a call that does not fit
            first = str(error).strip().partition("\n")[0]
            message = f"cell {self.id}: {self.file.path}:{where}: {type(error).__name__}: {first}"
            raise UserError(message) from error


@dataclass
class Registered:
    """What there is by name, and why what was to be there is not."""

    files: dict[str, CellFile] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def cell_files() -> dict[str, CellFile]:
    """Every registered cell by name. Raises UserError when two different ones have the same."""
    return registered().files


def registered() -> Registered:
    """The published cells, those of folders and those of installed packages.

    The folders are `submissions/` of the current one and those in `HARNESS_SUBMISSIONS`. Raises UserError
    when two different cells have the same name.
    """
    found = Registered()
    own = filter(None, os.environ.get("HARNESS_SUBMISSIONS", "").split(os.pathsep))
    for folder in (ROOT / "submissions", Path.cwd() / "submissions", *(Path(f).expanduser() for f in own)):
        for path in sorted(folder.resolve().glob("[!_]*.py")):
            _add(found.files, CellFile(path))
    for plugin in plugins("harness.cells"):
        path_of = plugin.path()
        if path_of is None:
            found.broken[plugin.name] = f"{plugin.name} of {plugin}: there is no module {plugin.module}"
        else:
            _add(found.files, CellFile(path_of, plugin.attribute or None, plugin))
    return found


def _add(files: dict[str, CellFile], new: CellFile) -> None:
    _require_same(files.setdefault(new.name, new), new)


def _require_same(old: CellFile, new: CellFile) -> None:
    if old.whole != new.whole or old.class_name != new.class_name:
        raise UserError(f"two cells are named {new.name}: {old.place} and {new.place}; rename one of them")


def is_foreign(text: str) -> bool:
    """Whether an id or a file's path means a cell that is here and none of the published ones.

    It is not imported to find out.
    """
    head = text.partition("[")[0]
    path, _, class_name = head.partition(".py:")
    if class_name or head.endswith(".py"):
        found = Path(f"{path.removesuffix('.py')}.py").expanduser().resolve()
        return found.is_file() and found.parent != ROOT / "submissions"
    file = registered().files.get(head.partition("@")[0])
    return file is not None and (file.plugin is not None or file.path.parent != ROOT / "submissions")


def find_cell(text: str) -> CellSpec:
    """The cell that an id or a file's path means: `gru`, `lstm[layers=2]`, `path/to/my_cell.py[option=1]`.

    Of a file that holds several, `path/to/cells.py:ClassName` is one. A file identical to a registered one is
    that one. Raises UserError on an unknown name or option, on a file that cannot be loaded, and on one that
    has the name of another cell.
    """
    head, bracket, rest = text.partition("[")
    path, _, class_name = head.partition(".py:")
    found = registered()
    if class_name or head.endswith(".py"):
        file = _file(f"{path.removesuffix('.py')}.py", class_name or None, found.files)
        id = Id.parse(f"{file.name}{bracket}{rest}")
    else:
        id = Id.parse(text)
        if id.name in found.broken:
            raise BrokenFile(found.broken[id.name])
        if id.name not in found.files:
            raise unknown("cell", id.name, found.files)
        file = found.files[id.name]
    if id.version not in (None, file.version):
        raise UserError(f"cell {id.name} is at version {file.version}; version {id.version} is not here")
    return _spec(file, id)


def _file(path: str, class_name: str | None, files: dict[str, CellFile]) -> CellFile:
    file = CellFile(Path(path).expanduser().resolve(), class_name)
    if not file.path.is_file():
        raise UserError(f"there is no file {path}")
    for known in files.values():
        if known.source == file.source and known.whole == file.whole and known.class_name == class_name:
            return known
    _require_same(files.get(file.name, file), file)
    return file


def _spec(file: CellFile, id: Id) -> CellSpec:
    cls = file.cell_class()
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
