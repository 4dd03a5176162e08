"""`harness tasks`."""

import inspect
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

import click

from harness.cli._options import warn_of_problems
from harness.ids import Id, signature_options, spell
from harness.registry import suite, task_classes
from harness.task import Classes, Task, Tokens


@click.command("tasks")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(as_json: bool) -> None:
    """List the tasks, family by family: what each asks for, chance level, smallest gap, options and source.

    They are the published ones, the files of `tasks/` here, and what installed packages add by entry points.

    \b
    Example: harness tasks
    """
    found = rows()
    warn_of_problems()
    if as_json:
        for row in found:
            click.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    names = max(len(row["task"]) for row in found) + 5  # indented; a star, two spaces
    for about, family in groupby(found, key=lambda row: row["about"]):
        console.print(about, style="bold", markup=False)
        table = Table.grid()
        table.add_column(width=names)
        table.add_column(max_width=100 - names)
        for row in family:
            facts = f"chance {row['chance']:.3f}, gaps from {row['min_gap']}"
            if row["options"]:
                facts += "; options " + ", ".join(written(row["options"]))
            told = Text(f"{row['ability']}\n{facts}\n").append(row["source"], "dim")
            table.add_row(f"  {row['task']}{'*' if row['in_suite'] else ''}", told)
        console.print(table)
        console.print()
    console.print(
        "* in the suite, which `--task all` means. `harness show TASK` prints samples.", style="dim"
    )


def rows() -> list[dict[str, Any]]:
    """Every task as plain data, in the order of the suite, those of a family, which is a file, together."""
    order = list(dict.fromkeys(Id.parse(id).name for id in suite()))

    def place(cls: type[Task]) -> int:
        return order.index(cls.name) if cls.name in order else len(order)

    found = list(task_classes().values())
    first = {cls.__module__: min(place(c) for c in found if c.__module__ == cls.__module__) for cls in found}
    found.sort(key=lambda cls: (first[cls.__module__], cls.__module__, place(cls), cls.name))
    return [_row(cls, cls.name in order) for cls in found]


def _row(cls: type[Task], in_suite: bool) -> dict[str, Any]:
    task = cls()
    inputs, output = task.inputs, task.output
    about = inspect.getdoc(inspect.getmodule(cls)) or ""
    return {
        "task": cls.name,
        "id": task.id,
        "version": cls.version,
        "family": cls.__module__.rpartition(".")[2],
        "about": about.partition("\n")[0],
        "in_suite": in_suite,
        "ability": cls.ability,
        "chance": task.chance(task.min_gap),
        "min_gap": task.min_gap,
        "vocabulary": inputs.size if isinstance(inputs, Tokens) else None,
        "classes": output.size if isinstance(output, Classes) else None,
        "options": {
            name: {"default": getattr(task, name), "choices": _choices(parameter.annotation)}
            for name, parameter in signature_options(cls).items()
        },
        "source": cls.source,
    }


def _choices(annotation: Any) -> list[Any] | None:
    return list(get_args(annotation)) if get_origin(annotation) is Literal else None


def written(options: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Options as `name=default`, or `name=one|another`, the default first.

    >>> list(written({"k": {"default": 3, "choices": None}, "of": {"default": "b", "choices": ["a", "b"]}}))
    ['k=3', 'of=b|a']
    """
    for name, option in options.items():
        values = dict.fromkeys([option["default"], *(option["choices"] or ())])
        yield f"{name}={'|'.join(map(spell, values))}"
