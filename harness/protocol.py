"""What a fair comparison is: named, versioned and frozen descriptions of how a cell is trained and scored.

There are two ways to train. *fixed*: one model per gap, trained and scored at that gap; can the cell find a
dependency so far away? *mixed*: one model, the gap of each update drawn log-uniformly up to a maximum, scored
at every gap and beyond the maximum; can the cell hold what it has learned to look for?
"""

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

from harness.errors import UserError, unknown
from harness.ids import Id, spell
from harness.streams import Stream

Division = Literal["closed", "open"]

CHECKS = 32
"""How often a training member is looked at: a point of its learning curve, divergence, solved or not."""
CHECK_ROWS = 256
"""Validation rows scored at a check, over all gaps trained."""
SCORE_BATCH = 256
"""Rows of a scored batch."""


@dataclass(frozen=True)
class Protocol:
    """How a cell is trained and scored. More repetitions may be added to an entry later."""

    name: str
    version: int
    train: Literal["fixed", "mixed"]
    gaps: tuple[int, ...]
    """The gaps scored, rising."""
    max_gap: int
    """The largest gap trained; scores beyond it are extrapolated."""
    repetitions: int
    """How many, unless more or fewer are asked for. Not part of the identity."""
    updates: int
    lr: tuple[float, ...]
    """The learning rates tried; one is selected on validation."""
    budget: int
    """Parameters that a cell may have in the closed division."""
    hidden_size: int | None = None
    """The width in the open division, where the budget does not hold."""
    batch_size: int = 64
    rows: int = 1024
    """Rows scored per gap and split."""
    clip: float = 1.0
    """Largest norm of a member's gradient."""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    solved_accuracy: float = 0.999
    """A member at or above it at `solved_checks` checks in a row has solved its task and stops."""
    solved_checks: int = 3

    def __post_init__(self) -> None:
        def require(holds: bool, key: str, rule: str) -> None:
            if not holds:
                raise UserError(f"{key}={spell(getattr(self, key))}: {rule}")

        gaps, rates = self.gaps, self.lr
        require(bool(gaps) and all(g >= 0 for g in gaps), "gaps", "give at least one gap, none below 0")
        require(list(gaps) == sorted(set(gaps)), "gaps", "must rise")
        require(bool(rates) and all(0 < r < math.inf for r in rates), "lr", "must be above 0")
        require(list(rates) == sorted(set(rates)), "lr", "must rise")
        for key in ("updates", "budget", "batch_size", "rows", "repetitions"):
            require(getattr(self, key) >= 1, key, "must be at least 1")
        require(self.hidden_size is None or self.hidden_size >= 1, "hidden_size", "must be at least 1")

    @property
    def division(self) -> Division:
        """`closed`: the width is solved from the budget. `open`: the width is the user's."""
        return "closed" if self.hidden_size is None else "open"

    @cached_property
    def id(self) -> str:
        """`quick@1`, or `quick@1[updates=500]` where it was varied: never to be mixed with the named one."""
        named, here = asdict(PROTOCOLS[self.name]), asdict(self)
        for key in ("repetitions", "max_gap") if self.train == "fixed" else ("repetitions",):
            del here[key]
        varied = {key: spell(value) for key, value in here.items() if value != named[key]}
        return str(Id(self.name, str(self.version), dict(sorted(varied.items()))))

    def vary(self, **changes: Any) -> "Protocol":
        """The protocol with these fields changed."""
        if self.train == "fixed" and "gaps" in changes:
            changes["max_gap"] = max(changes["gaps"], default=0)
        return replace(self, **changes)

    def evaluated(self, min_gap: int) -> tuple[int, ...]:
        """The gaps scored of a task whose smallest gap is `min_gap`: the curve starts there.

        >>> QUICK.evaluated(20)
        (20, 32, 64)
        """
        if min_gap <= self.gaps[0]:
            return self.gaps
        return (min_gap, *(gap for gap in self.gaps if gap > min_gap))

    def extrapolated(self, gap: int) -> bool:
        """Whether a score at this gap is beyond what was trained."""
        return self.train == "mixed" and gap > self.max_gap

    def training_gap(self, task: str, min_gap: int, index: int) -> int:
        """mixed: the gap of update number `index`, the same for every member: log-uniform up to `max_gap`."""
        low, high = max(min_gap, 1), max(self.max_gap, min_gap)
        u = float(Stream(task, "gaps", low, high, index).uniform(1)[0])
        return min(high, int(low * ((high + 1) / low) ** u))

    def content(self) -> dict[str, Any]:
        """Everything the id stands for, as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "repetitions"}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Protocol":
        """The protocol of such content, as JSON has it too, with the repetitions of the named one."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return cls(**values, repetitions=PROTOCOLS[content["name"]].repetitions)


QUICK = Protocol(
    name="quick", version=1, train="fixed", gaps=(2, 4, 8, 16, 32, 64), max_gap=64,
    repetitions=2, updates=1000, lr=(3e-3, 1e-2), budget=8_000,
)  # fmt: skip
QUICK_MIXED = replace(QUICK, name="quick-mixed", train="mixed", gaps=(2, 4, 8, 16, 32, 64, 128, 256))
"""A first look, in minutes: two repetitions show a curve and rank nobody."""

STANDARD = Protocol(
    name="standard", version=1, train="fixed", gaps=(2, 4, 8, 16, 32, 64, 128, 256), max_gap=256,
    repetitions=10, updates=3000, lr=(1e-3, 3e-3, 1e-2), budget=32_000,
)  # fmt: skip
STANDARD_MIXED = replace(
    STANDARD, name="standard-mixed", train="mixed", gaps=(2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
)
"""What is published: ten repetitions make full ranks. A gap of 256 is asked of cells of four times the
size. That wants smaller rates, hence 0.001; and a cell is to fail by what it cannot find rather than by what
it had no time for, hence three times the updates. Who has solved the task before stops.
"""

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (QUICK, QUICK_MIXED, STANDARD, STANDARD_MIXED)}


def find_protocol(name: str, train: str | None = None) -> Protocol:
    """The protocol of this name, or its sibling that trains the other way. Raises UserError.

    >>> find_protocol("quick", "mixed").id
    'quick-mixed@1'
    """
    id = Id.parse(name)
    if id.name not in PROTOCOLS:
        raise unknown("protocol", id.name, PROTOCOLS)
    found = PROTOCOLS[id.name]
    if id.version not in (None, str(found.version)):
        raise UserError(f"protocol {id.name} is at version {found.version}; version {id.version} is not here")
    if id.options:
        raise UserError(f"vary protocol {id.name} by options such as --updates, not in its name")
    if train is not None and train != found.train:
        return PROTOCOLS[f"{id.name}-mixed" if train == "mixed" else id.name.removesuffix("-mixed")]
    return found


def command(cell: str, tasks: Iterable[str], protocol: str, repetitions: int) -> str:
    """The command that makes such results. protocol: a canonical id, varied or not

    >>> command("gru", ["all"], "quick@1[gaps=2/128,updates=500]", 5)
    'harness run --cell gru --task all --protocol quick --gaps 2,128 --updates 500 --repetitions 5'
    """
    id = Id.parse(protocol)
    varied = {key.replace("_", "-"): value.replace("/", ",") for key, value in id.options.items()}
    options = [("cell", cell), *(("task", task) for task in tasks), ("protocol", id.name), *varied.items()]
    given = [f"--{key} {shlex.quote(value)}" for key, value in (*options, ("repetitions", f"{repetitions}"))]
    return f"harness run {' '.join(given)}"
