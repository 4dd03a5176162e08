"""Which engine a population trains with: chosen by measuring, while it trains."""

import math
from collections.abc import Callable

from harness.cell import Cell, overrides
from harness.engine.engines import Reference, Traced, Unrolled
from harness.engine.settings import Settings

WARM_UP = 3
"""Updates with an engine before its time is taken."""
MEASURED = 9
"""Updates whose time is taken."""
HOPELESS = 4.0
"""Times as slow as another engine, in any update but the first: it is tried no longer."""


class Choice:
    """The engine now, and the way to a better one.

    `auto` trains with traced steps; where the cell has an `unroll` of its own it tries both, and stays with
    what took less time. It compiles the steps when the work ahead pays for that.
    """

    def __init__(self, settings: Settings, cell: Cell, note: Callable[[str], None]) -> None:
        self.settings, self.note = settings, note
        self.traced = Traced(settings.memory, compile=settings.engine == "compiled", note=note)
        self.engine: Reference | Traced | Unrolled = (
            Reference() if settings.engine == "reference" else self.traced
        )
        self.to_try: list[Traced | Unrolled] = []
        self.unrolled: Unrolled | None = None
        if settings.engine == "auto":
            self.to_try = [self.traced]
            if overrides(cell, "unroll"):
                self.engine = self.unrolled = Unrolled()
                self.to_try = [self.unrolled, self.traced]
        self._taken: dict[str, float] = {}
        self._updates, self._seconds, self._steps = 0, 0.0, 0

    @property
    def settled(self) -> str | None:
        """The name of the engine, once no other will be tried."""
        return None if self.to_try else self.engine.name

    def settle(self, name: str) -> None:
        """Train with the engine of this name, as before an interruption."""
        if name == "reference":
            self.engine = Reference()
        elif name == "unroll" and self.unrolled:
            self.engine = self.unrolled
        else:
            self.engine = self.traced
            if name == "compiled":
                self.traced.compile()
        self.to_try = []

    def fall_back(self, reason: str) -> None:
        """The step cannot be traced: go on with the cell's own `unroll` if it has one, else the reference."""
        way = "by its own unroll" if self.unrolled else "one member at a time, step by step"
        self.note(f"trains {way}: {reason}")
        self.engine, self.to_try = self.unrolled or Reference(), []

    def took(self, seconds: float, steps: int, updates_left: int) -> None:
        """An update took so long for so many steps; change the engine if that is worth while."""
        if not self.to_try:
            return
        self._updates += 1
        quickest = min(self._taken.values(), default=math.inf)
        hopeless = self._updates > 1 and seconds / steps > HOPELESS * quickest
        if self._updates <= WARM_UP and not hopeless:
            return
        self._seconds, self._steps = self._seconds + seconds, self._steps + steps
        if self._updates < WARM_UP + MEASURED and not hopeless:
            return
        self._taken[self.engine.name] = self._seconds / self._steps
        mean_length = self._steps / MEASURED
        self._updates, self._seconds, self._steps = 0, 0.0, 0
        self.to_try.pop(0)
        if self.to_try:
            self.engine = self.to_try[0]
            return
        stepping = self._taken[self.traced.name]
        if self.unrolled and self._taken[self.unrolled.name] < stepping:
            self.engine = self.unrolled
            return
        ahead = stepping * (updates_left * mean_length + self.settings.steps_ahead)
        if self.traced.pays(ahead):
            self.traced.compile()
