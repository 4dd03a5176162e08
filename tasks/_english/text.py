"""What the natural-language probes have in common."""

import csv
from pathlib import Path
from typing import ClassVar

from harness.task import Batch, Span, Task


class Text(Task):
    """A probe in English, one token a word. Words are stored as they stand inside a sentence."""

    text: ClassVar[bool] = True

    def render(self, batch: Batch, row: int) -> list[Span]:
        """The row as text, with a capital where a sentence begins."""
        spans = super().render(batch, row)
        ends = [".", *(span.text for span in spans)]
        return [
            span._replace(text=span.text[0].upper() + span.text[1:]) if end == "." else span
            for end, span in zip(ends, spans, strict=False)
        ]


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows of a table that lies beside this file."""
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
