"""How a cell looks wherever it is drawn: one colour and one shape, given by its id alone."""

import hashlib

_PUBLISHED = {
    "rnn": ("#ED6E12", "triangle-up"),
    "lstm": ("#5B5FC8", "square"),
    "gru": ("#439692", "circle"),
    "depth-gated": ("#AB79F5", "diamond"),
    "clockwork": ("#8C5D30", "triangle-down"),
}
"""Apart from each other with red-green blindness too, and from a white and a dark page, as are the others."""
_COLOURS = (
    *("#E55D7A", "#B0451A", "#C48225", "#7B6C01", "#699F08", "#1C7F55"),
    *("#04A19B", "#187790", "#2896F5", "#5C5ACA", "#B270DF", "#A8398A"),
)
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


def look(cell: str) -> tuple[str, str]:
    """The colour and the shape of a cell, whatever else is shown.

    >>> look("gru")
    ('#439692', 'circle')
    """
    if cell in _PUBLISHED:
        return _PUBLISHED[cell]
    first, second = hashlib.sha256(cell.encode()).digest()[:2]
    return _COLOURS[first % len(_COLOURS)], _SHAPES[second % len(_SHAPES)]


def colour(cell: str) -> str:
    """The colour of a cell."""
    return look(cell)[0]
