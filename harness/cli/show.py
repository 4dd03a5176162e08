"""`harness show`."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from harness.registry import find_task
from harness.task import SPLITS, Role, Span, Split, phrases

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {
    Role.PREFIX: "dim",
    Role.CUE: "bold black on yellow",
    Role.DECOY: "magenta",
    Role.FILLER: "dim",
    Role.QUESTION: "bold cyan",
}
ANSWER = "bold green"
MARKS = {Role.CUE: ("[", "]"), Role.DECOY: ("{", "}"), Role.QUESTION: ("<", ">")}
"""What is put around a role where there are no colours."""


@click.command("show")
@click.argument("task")
@click.option("--gap", type=int, help="Tokens between cue and query.  [default: 16, or the task's smallest]")
@click.option("--samples", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(task: str, gap: int | None, samples: int, split: Split, as_json: bool) -> None:
    """Print samples of a task: cue, decoys, filler and question marked, and the answer.

    \b
    Example: harness show nl-birthplace --gap 40
    """
    found = find_task(task)
    gap = max(found.min_gap, 16) if gap is None else gap
    batch = found.batch(split, repetition=0, gap=gap, index=0, size=samples)
    rows = [found.render(batch, row) for row in range(samples)]
    if as_json:
        for row in rows:
            record = {
                "task": found.id,
                "split": split,
                "gap": gap,
                "inputs": [span.text for span in row],
                "roles": [span.role.name.lower() for span in row],
                "queries": batch.queries.tolist(),
                "answers": [span.answer for span in row if span.answer is not None],
                "chance": found.chance(gap),
            }
            click.echo(json.dumps(record))
        return
    from rich.console import Console

    console = Console(highlight=False)
    marked = console.color_system is None
    present = sorted({span.role for row in rows for span in row})
    legend = [Span(role.name.lower(), role, "answer" if role is Role.QUESTION else None) for role in present]
    console.print(f"{found.id}, gap {gap}, {split}", style="bold", markup=False)
    console.print(f"{found.ability}; chance {found.chance(gap):.3f}, gaps from {found.min_gap}", markup=False)
    console.print(typeset(legend, marked))
    for row in rows:
        console.print()
        console.print(typeset(row, marked))


def typeset(spans: Iterable[Span], marked: bool) -> "Text":
    """Spans as one text, roles told by colours or, `marked`, by brackets; the answers come last."""
    from rich.text import Text

    spans = list(spans)
    text = Text()
    for role, words in phrases(spans):
        left, right = MARKS.get(role, ("", "")) if marked else ("", "")
        text.append(" " if text and words.startswith(" ") else "")
        text.append(f"{left}{words.strip()}{right}", STYLES[role])
    answers = "".join(f" {span.answer}" for span in spans if span.answer is not None)
    return text.append(" →").append(answers, ANSWER) if answers else text
