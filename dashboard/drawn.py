"""Small things drawn as HTML: a cell's name, a legend, a gap curve and a score within a table's row."""

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import urlencode

import streamlit as st

from harness.charts import GREY
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
"""Of what stands in a row, in pixels."""
_EDGE = 4
_BASE = f'stroke="{GREY}" stroke-opacity="0.5" fill="none"'


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

    points = [f"{x(gap):.1f},{y(value):.1f}" for gap, value in sorted(values.items())]
    beyond = ""
    if gaps[-1] > trained:
        first = x(math.sqrt(trained * min(gap for gap in gaps if gap > trained)))
        beyond = (
            f'<path d="M{first:.1f} 0 H{_WIDTH} V{_HEIGHT} H{first:.1f} Z" fill="{GREY}" opacity="0.2" />'
        )
    told = ", ".join(f"gap {gap}: {value:.2f}" for gap, value in sorted(values.items()))
    base = f'<path {_BASE} d="M0 {y(0):.1f} H{_WIDTH} M0 {y(1):.1f} H{_WIDTH}" />'
    line = f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour(cell)}" stroke-width="2" />'
    only = points[0].split(",")
    dot = f'<circle cx="{only[0]}" cy="{only[1]}" r="3" fill="{colour(cell)}" />' if len(points) == 1 else ""
    return _picture(f"Normalised accuracy, {told}", beyond + base + line + dot)


def score(cell: str, value: float, low: float, high: float) -> str:
    """A score with its interval on a line from 0 to 1."""

    def x(share: float) -> float:
        return _EDGE + min(max(share, 0), 1) * (_WIDTH - 2 * _EDGE)

    middle = _HEIGHT / 2
    parts = (
        f'<path {_BASE} d="M{x(0)} {middle} H{x(1)} M{x(0)} {middle - 4} v8 M{x(1)} {middle - 4} v8" />',
        f'<path d="M{x(low):.1f} {middle} H{x(high):.1f}" stroke="{colour(cell)}" stroke-width="6" '
        'stroke-opacity="0.35" stroke-linecap="round" />',
        f'<circle cx="{x(value):.1f}" cy="{middle}" r="4.5" fill="{colour(cell)}" />',
    )
    return _picture(f"{value:.3f}, from {low:.3f} to {high:.3f}, between 0 and 1", "".join(parts))


def _picture(told: str, content: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{content}</svg>'
    )
    data = b64encode(svg.encode()).decode()
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{told}" title="{told}" {size}>'


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
    body = "".join(f"<tr>{''.join(f'<td{kind(i)}>{x}</td>' for i, x in enumerate(row))}</tr>" for row in rows)
    st.html(
        f'<div class=wide tabindex=0 role=region aria-label="{escape(caption)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
