"""A sweep's file: TOML that says what to train, and where, in the words of `harness run`.

What stands before the first `[[run]]` holds for every run, unless the run says otherwise:

    cell = ["gru", "lstm[layers=2]"]
    task = "all"

    [[run]]
    protocol = "quick-mixed"
    repetitions = 5

    [[run]]
    protocol = "quick"
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from harness.errors import UserError, unknown
from harness.executors import EngineName, ExecutorName
from harness.ids import size
from harness.plan import Request

if TYPE_CHECKING:
    from harness.runner import Event, Results

Names = Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]
"""One or several."""


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=False,
    )


class _Run(_Table):
    """What is trained, as the options of `harness run`."""

    cell: Names = []
    task: Names = []
    protocol: str = "quick"
    train: Literal["fixed", "mixed"] | None = None
    gaps: list[int] | None = None
    updates: int | None = None
    lr: list[float] | None = None
    hidden_size: int | None = None
    repetitions: int | None = None


class _Where(_Table):
    """Where and how, for all runs together."""

    db: str | None = None
    device: str = "auto"
    engine: EngineName = "auto"
    memory: Annotated[str, AfterValidator(size)] | None = None
    timeout: float | None = None
    executor: ExecutorName = "local"
    address: str | None = None


class _File(_Run, _Where):
    run: list[_Run] = []


@dataclass(frozen=True)
class Sweep:
    """Several requests, and where they train: the keyword arguments of `run_all`."""

    requests: tuple[Request, ...]
    where: dict[str, Any]


def read(path: str | Path) -> Sweep:
    """A sweep's file, checked but for its cells. Raises UserError in a line that names file, run and key."""
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # of TOML or of UTF-8
        raise UserError(f"{path} is no TOML: {error}") from None
    try:
        file = _File.model_validate(given)
    except ValidationError as error:
        raise _explained(path, error) from None
    for_all = _given(file, _Run)
    requests = []
    for number, run in enumerate(file.run or [_Run()], 1):
        place = f"{path}, run {number}: " if file.run else f"{path}: "
        asked = {**for_all, **_given(run, _Run)}
        for key in ("cell", "task"):
            if not asked.get(key):
                raise UserError(f'{place}{key} is missing: write {key} = "all", or a list of names')
        try:
            requests.append(Request.of(**asked, place=place))
        except UserError as error:
            raise UserError(f"{place}{error}") from None
    return Sweep(tuple(requests), _given(file, _Where))


def _given(table: _Table, kind: type[_Table]) -> dict[str, Any]:
    """What a table says of the keys of this kind."""
    return {name: getattr(table, name) for name in kind.model_fields if name in table.model_fields_set}


def sweep(
    path: str | Path,
    *,
    db: str | None = None,
    retry: bool = False,
    report: "Callable[[Event], None]" = lambda event: None,
) -> "Results":
    """Train and score what a sweep's file asks for, as one plan; what the store has is not done again.

    path: of the file, whose own paths start in the current folder, as everywhere
    db: URL or path of the store, instead of the file's
    retry: try again what was given up
    Raises UserError before anything is trained when the file makes no sense.

    >>> import harness
    >>> results = harness.sweep("reference.toml")  # doctest: +SKIP
    """
    from harness.runner import run_all

    asked = read(path)
    where = {**asked.where, "db": db} if db else asked.where
    return run_all(asked.requests, name=str(path), **where, retry=retry, report=report)


_MUST = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text, in quotes",
    "list_type": "must be a list, in brackets",
}
"""What pydantic's types of errors mean to who writes a file."""


def _explained(path: str | Path, error: ValidationError) -> UserError:
    """The first thing wrong with a file, in one line."""
    first = error.errors(include_url=False)[0]
    where, value = list(first["loc"]), first["input"]
    place, keys = f"{path}: ", _File.model_fields
    if where[0] == "run" and len(where) > 1:
        place, keys, where = f"{path}, run {int(where[1]) + 1}: ", _Run.model_fields, where[2:]
    if first["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in keys.items()]
        return UserError(f"{place}{unknown('key', str(where[0]), known)}")
    if not where or where == ["run"]:
        return UserError(f"{path}: runs are tables: write [[run]] before each")
    if first["type"] == "literal_error":
        choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return UserError(f"{place}{unknown(str(where[0]), str(value), choices)}")
    must = _MUST.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return UserError(f"{place}{where[0]} = {value!r}: {must}")
