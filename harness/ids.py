"""Ids: one grammar for cells, tasks and protocols, `name@version[key=value,…]`.

Options are written as text and typed by the signature of what they configure; an unknown one is an error.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin

from harness.errors import UserError, unknown

_GRAMMAR = re.compile(
    r"(?P<name>[A-Za-z0-9_.+-]+)(?:@(?P<version>[A-Za-z0-9]+))?(?:\[(?P<options>[^\[\]]*)\])?"
)


@dataclass(frozen=True)
class Id:
    """A parsed id. The options are still text, in the order of their names.

    >>> Id.parse("gap-copy@1[payload=5,filler=blank]")
    Id(name='gap-copy', version='1', options={'filler': 'blank', 'payload': '5'})
    >>> str(Id.parse("lstm[layers=2]"))
    'lstm[layers=2]'
    """

    name: str
    version: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Id":
        """Read an id. Raises UserError when the text is not of the grammar."""
        match = _GRAMMAR.fullmatch(text.strip())
        if match is None:
            raise UserError(f"{text!r} is not an id: write name, name@version or name[key=value,…]")
        options: dict[str, str] = {}
        for part in filter(None, (match["options"] or "").split(",")):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not (key and equals and value):
                raise UserError(f"option {part!r} of {text!r} is not of the form key=value")
            if key in options:
                raise UserError(f"option {key!r} stands twice in {text!r}")
            options[key] = value
        return cls(match["name"], match["version"], dict(sorted(options.items())))

    def __str__(self) -> str:
        version = f"@{self.version}" if self.version else ""
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}{version}" + (f"[{options}]" if options else "")


def spell(value: object) -> str:
    """An option's value as it is written in an id.

    >>> spell(True), spell(0.003), spell((2, 4, 8))
    ('true', '0.003', '2/4/8')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "/".join(map(spell, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def size(text: str) -> int:
    """Bytes as they are written. Raises ValueError with what to write instead.

    >>> size("500M"), size("4G")
    (524288000, 4294967296)
    """
    number, unit = text[:-1], text[-1:].upper()
    if unit not in "MG" or not number.isdigit():
        raise ValueError("write a size as 500M or 4G")
    return int(number) << {"M": 20, "G": 30}[unit]


def signature_options(function: Callable[..., Any], skip: Iterable[str] = ()) -> dict[str, inspect.Parameter]:
    """The options that a class or function takes: its parameters with a default, less those in `skip`."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {p.name: p for p in parameters if p.name not in skip and p.default is not p.empty}


def typed(owner: str, given: Mapping[str, str], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The given options as values of the types that the signature declares.

    >>> def cell(*, layers: int = 1, peephole: bool = False): ...
    >>> typed("lstm", {"layers": "2"}, signature_options(cell))
    {'layers': 2}
    """
    values: dict[str, Any] = {}
    for key, text in given.items():
        if key not in known:
            raise unknown(f"option of {owner}", key, known)
        annotation = known[key].annotation
        values[key] = _convert(f"option {key}={text} of {owner}", text, annotation, known[key].default)
    return values


def _convert(what: str, text: str, annotation: Any, default: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        for choice in choices:
            if spell(choice) == text:
                return choice
        raise UserError(f"{what}: must be one of {', '.join(map(spell, choices))}")
    if annotation is inspect.Parameter.empty:
        annotation = str if default is None else type(default)
    if annotation is bool:
        if text not in ("true", "false"):
            raise UserError(f"{what}: must be true or false")
        return text == "true"
    try:
        return annotation(text)
    except (TypeError, ValueError):
        raise UserError(f"{what}: must be of type {annotation.__name__}") from None
