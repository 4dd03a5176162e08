"""How far a long training is, in a file: kept up now and then, and gone on from after an interruption.

Letters: P members.
"""

import hashlib
import io
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

SECONDS = 60.0
"""What an interruption may cost."""
STALE_DAYS = 30
"""After so long a file is deleted that nobody went on from."""


@dataclass
class Checkpoint:
    """Where a population's training is kept.

    A file belongs to some of the members that differ in nothing but repetition and learning rate: a training
    of those, or of some of them, goes on from it.

    folder: of the files
    population: the hash of all that determines the training but the members
    members: repetition and learning rate of each
    """

    folder: Path
    population: str
    members: Sequence[tuple[int, float]]
    _saved: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """The file of just these members."""
        members = hashlib.sha256(repr([tuple(m) for m in self.members]).encode()).hexdigest()
        return self.folder / f"{self.population[:40]}-{members[:20]}"

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved > SECONDS

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state, plain data and tensors: whole, or not at all. A full disk is no reason to stop."""
        self._saved = time.monotonic()
        buffer = io.BytesIO()
        whole = {"population": self.population, "members": [list(m) for m in self.members], **state}
        torch.save(whole, buffer)
        content = buffer.getvalue()
        new = self.path.with_suffix(".new")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()
            with open(new, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The furthest state there is, with our members' places in it as `rows`; and which files are bad."""
        best: dict[str, Any] | None = None
        bad = []
        for path in sorted(self.folder.glob(f"{self.population[:40]}-*")):
            if path.suffix:
                continue  # it was never finished
            state = _read(path)
            if state is None or state["population"] != self.population:
                bad.append(f"{path} is no checkpoint of this, and ignored")
                continue
            kept = [tuple(member) for member in state["members"]]
            if set(self.members) <= set(kept) and (best is None or state["update"] > best["update"]):
                best = {**state, "rows": [kept.index(tuple(member)) for member in self.members]}
        return best, bad

    def done(self) -> None:
        """The training is over: nothing is to be gone on from."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_DAYS * 86_400:
                    path.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        whole = path.read_bytes()
        if hashlib.sha256(whole[32:]).digest() != whole[:32]:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(whole[32:]), map_location="cpu", weights_only=True)
        return state
    except Exception:
        return None  # whatever is wrong with it
