"""`harness new`: begin a cell or a task."""

import re
from collections.abc import Container
from pathlib import Path
from string import Template

import click

from harness.errors import UserError
from harness.registry import cell_files, task_classes


@click.group("new")
def command() -> None:
    """Begin a cell or a task: a file that works as it is, and a test of it.

    \b
    Example: harness new cell my-cell
    """


@command.command()
@click.argument("name")
def cell(name: str) -> None:
    """Write a cell, submissions/NAME.py, and tests/test_NAME.py.

    \b
    Example: harness new cell my-cell
    """
    name = _checked("cell", name, cell_files())
    paths = _write("cell", name, Path("submissions"))
    _say(
        paths,
        ("its test", f"python -m pytest {paths[1]}"),
        ("its curve", f"harness run --cell {name} --cell gru --task gap-copy"),
        ("all of them", "harness dashboard"),
    )


@command.command()
@click.argument("name")
def task(name: str) -> None:
    """Write a task, tasks/NAME.py, and tests/test_NAME.py.

    \b
    Example: harness new task gap-mine
    """
    name = _checked("task", name, task_classes())
    paths = _write("task", name, Path("tasks"))
    _say(
        paths,
        ("its test", f"python -m pytest {paths[1]}"),
        ("some of it", f"harness show {name} --gap 8"),
        ("that it measures what it says", f"harness check --task {name}"),
        ("a curve", f"harness run --cell gru --task {name}"),
    )


def _checked(kind: str, name: str, taken: Container[str]) -> str:
    """The name with dashes. Raises UserError unless it is free and can be one of a file."""
    name = name.replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UserError(f"{name!r} is no name of a {kind}: small letters, digits and dashes, as in my-{kind}")
    if name in taken:
        raise UserError(f"there is a {kind} {name} already: give another name")
    return name


def _write(kind: str, name: str, folder: Path) -> list[Path]:
    """The file and its test. Raises UserError where one of them is there already."""
    module = name.replace("-", "_")
    words = {
        "name": name,
        "module": module,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
    }
    texts = {
        folder / f"{module}.py": f"new_{kind}.txt",
        Path("tests") / f"test_{module}.py": f"new_{kind}_test.txt",
    }
    for path in texts:
        if path.exists():
            raise UserError(f"{path} is there already: give another name, or move it away")
    for path, template in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return list(texts)


def _say(paths: list[Path], *steps: tuple[str, str]) -> None:
    click.echo(f"wrote {paths[0]} and {paths[1]}; both work as they are. Next:\n")
    for what, line in steps:
        click.echo(f"    {line:<60}  # {what}")
