"""Small things drawn as HTML: a cell's name, a legend, a gap curve and a score within a table's row."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import urlencode

import streamlit as st

from harness.colours import colour, look

_GLYPHS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "triangle-down": "▼",
    "cross": "+",
}
_WIDTH, _HEIGHT = 120, 34
"""Of what stands in a row, in pixels, as the style sheet has it too."""
_EDGE = 4
_THICK = 1.0
"""Half of a line, in pixels."""


def words(text: str) -> str:
    """A text as Markdown shows it word by word.

    >>> print(words("lstm[layers=2] costs $1: a_b"))
    lstm\\[layers=2\\] costs \\$1: a\\_b
    """
    return re.sub(r"([\\`*_\[\]<>$~|#]|:(?=\w))", r"\\\1", text)


def name(cell: str, **address: str) -> str:
    """A cell's name with its mark, leading to its page."""
    return f"<span class=name>{glyph(cell)}&nbsp;{link('cell', cell, cell=cell, **address)}</span>"


def glyph(cell: str) -> str:
    """A cell's mark in its colour, as charts have it."""
    hue, shape = look(cell)
    return f'<b aria-hidden=true style="color: {hue}">{_GLYPHS[shape]}</b>'


def link(page: str, text: str, **address: str) -> str:
    """A link to a page of the dashboard, with what its address chooses."""
    return f'<a href="{page}?{escape(urlencode(address))}">{escape(text)}</a>'


def mark(text: str, what: str) -> str:
    """A word in small letters after a name, and what it means where a pointer rests on it."""
    return f' <small title="{escape(what)}">{escape(text)}</small>'


def legend(cells: Iterable[str]) -> None:
    """The cells with their marks; as text it wraps where the page is narrow."""
    st.html(f"<div class=legend>{''.join(f'<div>{name(cell)}</div>' for cell in cells)}</div>")


def curve(cell: str, values: Mapping[int, float], gaps: Sequence[int], trained: int) -> str:
    """Normalised accuracy by gap as a small picture: 0 at the bottom, 1 on top, log scale.

    values: by gap, some of `gaps`
    trained: the largest gap trained; what lies beyond it is shaded
    """
    if not values:
        return "–"
    low, high = math.log2(max(gaps[0], 0.5)), math.log2(max(gaps[-1], 0.5))

    def x(gap: float) -> float:
        share = (math.log2(max(gap, 0.5)) - low) / (high - low) if high > low else 0.5
        return _EDGE + share * (_WIDTH - 2 * _EDGE)

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - min(max(value, 0), 1) * (_HEIGHT - 2 * _EDGE)

    beyond = _WIDTH
    if gaps[-1] > trained:
        beyond = round(x(math.sqrt(trained * min(gap for gap in gaps if gap > trained))))
    told = ", ".join(f"gap {gap}: {value:.2f}" for gap, value in sorted(values.items()))
    line = _outline([(x(gap), y(value)) for gap, value in sorted(values.items())])
    return _picture(
        "curve",
        f"Normalised accuracy, {told}",
        f"--beyond: {beyond}px",
        f'<i style="background: {colour(cell)}; clip-path: polygon({line})"></i>',
    )


def _outline(points: Sequence[tuple[float, float]]) -> str:
    """A line through these points as a polygon around it, for a picture without a drawing's own document."""
    if len(points) == 1:
        ((x, y),) = points
        points = [(x - 2, y), (x + 2, y)]
    upper, lower = [], []
    for i, (x, y) in enumerate(points):
        (x0, y0), (x1, y1) = points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)]
        length = math.hypot(x1 - x0, y1 - y0) / _THICK
        across, down = (y0 - y1) / length, (x1 - x0) / length
        upper.append(f"{x + across:.1f}px {y + down:.1f}px")
        lower.append(f"{x - across:.1f}px {y - down:.1f}px")
    return ", ".join([*upper, *reversed(lower)])


def score(cell: str, value: float, low: float, high: float) -> str:
    """A score with its interval on a line from 0 to 1."""

    def x(share: float) -> float:
        return _EDGE + min(max(share, 0), 1) * (_WIDTH - 2 * _EDGE)

    places = {"low": x(low), "wide": x(high) - x(low), "at": x(value)}
    style = "; ".join([f"--hue: {colour(cell)}", *(f"--{name}: {at:.1f}px" for name, at in places.items())])
    return _picture("score", f"{value:.3f}, from {low:.3f} to {high:.3f}, between 0 and 1", style)


def _picture(kind: str, told: str, style: str, content: str = "") -> str:
    return f'<span class={kind} role=img aria-label="{told}" title="{told}" style="{style}">{content}</span>'


def commands(lines: Iterable[str]) -> None:
    """Lines for a shell, to be copied; a page of code would load what highlights it."""
    st.html(f"<pre class=commands>{escape(chr(10).join(lines))}</pre>")


def table(headings: Mapping[str, str], rows: Iterable[Sequence[str]], words: int, caption: str) -> None:
    """A table that is scrolled sideways where the page is narrow.

    headings: with what each means
    rows: of HTML
    words: how many columns hold words, and so stand on the left; the rest are numbers
    caption: for those who do not see it
    """

    def kind(column: int) -> str:
        return " class=word" if column < words else ""

    head = "".join(
        f'<th scope=col{kind(i)} title="{escape(what)}">{escape(heading)}</th>'
        for i, (heading, what) in enumerate(headings.items())
    )
    kinds = [kind(column) for column in range(len(headings))]
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{x}</td>' for kind, x in zip(kinds, row, strict=True))}</tr>"
        for row in rows
    )
    st.html(
        f'<div class=wide tabindex=0 role=region aria-label="{escape(caption)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
