"""Write the page of probes, probes.md beside this file, from the tasks: `python docs/probes.py`."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.cli.show import typeset
from harness.cli.tasks import rows, written
from harness.registry import find_task

PAGE = Path(__file__).with_name("probes.md")
GAP = 8
"""The gap of the examples, where a probe has one so small."""
WIDTH = 100
"""Columns of an example."""

HEAD = """\
<!-- written by docs/probes.py -->

# Probes

A row of a probe is laid out as prefix, cue, filler, question. The **gap** is the number of tokens strictly
between the last token of the cue and the first at which an answer is asked. Chance is the exact accuracy of
the best answer that ignores the cue. In the examples [ ] is the cue, { } a decoy, < > the question, and →
leads to the answers; all else is prefix and filler. `harness show gap-copy --gap 8` prints more of them, in
colours.
"""


def page() -> str:
    """The page as it should be."""
    tasks = rows()
    return "\n".join([HEAD, *_table(tasks), *_sections(tasks)])


def _table(tasks: list[dict[str, Any]]) -> Iterator[str]:
    yield "| probe | asks a cell to | chance | gaps from | options | source |"
    yield "|---|---|--:|--:|---|---|"
    for row in tasks:
        options = ", ".join(f"`{option}`" for option in written(row["options"]))
        cells = [f"[{row['task']}](#{row['task']})", row["ability"], f"{row['chance']:.4g}"]
        cells += [str(row["min_gap"]), options, row["source"]]
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
    yield ""


def _sections(tasks: list[dict[str, Any]]) -> Iterator[str]:
    for about, family in groupby(tasks, key=lambda row: row["about"]):
        yield f"## {about.removesuffix('.')}\n"
        for row in family:
            yield from (f"### {row['task']}\n", f"{_what(row['task'])}\n", "```text", _example(row), "```\n")


def _what(name: str) -> str:
    """The first paragraph of a task's docstring, without its name."""
    doc = inspect.getdoc(type(find_task(name))) or ""
    first = " ".join(doc.partition("\n\n")[0].split()).removeprefix(f"{name}: ")
    return first if re.match(r"[b-z] ", first) else first[:1].upper() + first[1:]  # k symbols are not K


def _example(row: dict[str, Any]) -> str:
    """The first sample that `harness show` prints at a small gap."""
    task = find_task(row["task"])
    batch = task.batch("train", repetition=0, gap=max(GAP, task.min_gap), index=0, size=1)
    return textwrap.fill(typeset(task.render(batch, 0), marked=True).plain, WIDTH)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
