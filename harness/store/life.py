"""Whether an attempt lives: its owner beats for it, and is there."""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from harness.errors import UserError

BEAT_SECONDS = 5.0
"""How often an owner beats for its attempts."""
STALE_SECONDS = 120.0
"""The lease: an attempt that has not beaten for so long is dead."""
FAILURES = ("timed-out", "out-of-memory", "killed")
"""Outcomes of attempts that may be tried again, but not for ever."""


def owner() -> str:
    """This process, from now on, as the owner of attempts: "host:pid:start:place"."""
    return f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}:{_place()}"


def outcome_of(attempt: Any, now: float) -> str | None:
    """How an attempt ended: as noted, or `killed` when it is dead. None: it lives."""
    if attempt.outcome is not None:
        return str(attempt.outcome)
    host, pid, _, *place = attempt.owner.split(":")
    here = host == socket.gethostname() and place in ([], [_place()])
    gone = here and not _lives(int(pid))
    return "killed" if gone or now - attempt.heartbeat > STALE_SECONDS else None


def _place() -> str:
    """Whose numbers of processes these are: a container has its own, and may have its host's name."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    if os.name != "posix":
        return True  # there the heartbeat alone tells
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


class Heart:
    """Beats, from a thread of its own, until it is left."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._still = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._still.set()
        self._thread.join(1)  # no longer: a beat that hangs changes nothing once its attempts have ended

    def _run(self) -> None:
        while not self._still.wait(BEAT_SECONDS):
            try:
                self._beat()
            except UserError:
                continue  # the store may be back in time; who records will tell if it is not
