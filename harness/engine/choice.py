"""Which engine a population trains with: chosen by measuring, while it trains."""

from collections.abc import Callable

from harness.cell import Cell, overrides
from harness.engine.engines import Reference, Traced, Unrolled
from harness.engine.settings import Settings

WARM_UP = 3
"""Updates with an engine before its time is taken."""
MEASURED = 9
"""Updates whose time is taken."""


class Choice:
    """The engine now, and the way to a better one.

    `auto` begins with traced steps. It tries the cell's own `unroll`, if there is one, and stays with what
    took less time; and it compiles the steps when the work ahead pays for that.
    """

    def __init__(self, settings: Settings, cell: Cell, note: Callable[[str], None]) -> None:
        self.settings, self.note = settings, note
        self.traced = Traced(settings.memory, compile=settings.engine == "compiled", note=note)
        self.engine: Reference | Traced | Unrolled = (
            Reference() if settings.engine == "reference" else self.traced
        )
        self.to_try: list[Reference | Traced | Unrolled] = []
        if settings.engine == "auto":
            self.to_try = [self.traced, Unrolled()] if overrides(cell, "unroll") else [self.traced]
        self._taken: dict[str, float] = {}
        self._updates, self._seconds, self._steps = 0, 0.0, 0

    def fall_back(self, reason: str) -> None:
        """The step cannot be traced: go on with the cell's own `unroll` if it has one, else the reference."""
        way = "by its own unroll" if len(self.to_try) > 1 else "one member at a time, step by step"
        self.note(f"trains {way}: {reason}")
        self.engine, self.to_try = self.to_try[-1] if len(self.to_try) > 1 else Reference(), []

    def took(self, seconds: float, steps: int, updates_left: int) -> None:
        """An update took so long for so many steps; change the engine if that is worth while."""
        if not self.to_try:
            return
        self._updates += 1
        if self._updates <= WARM_UP:
            return
        self._seconds, self._steps = self._seconds + seconds, self._steps + steps
        if self._updates < WARM_UP + MEASURED:
            return
        self._taken[self.engine.name] = self._seconds / self._steps
        mean_length = self._steps / MEASURED
        self._updates, self._seconds, self._steps = 0, 0.0, 0
        tried = self.to_try.pop(0)
        if self.to_try:
            self.engine = self.to_try[0]
            return
        stepping = self._taken[self.traced.name]
        if stepping > self._taken[tried.name]:
            return
        self.engine = self.traced
        ahead = stepping * (updates_left * mean_length + self.settings.steps_ahead)
        if self.traced.pays(ahead):
            self.traced.compile()
