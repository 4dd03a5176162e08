"""Whether an attempt lives."""

import os
import socket
import time
from typing import Any

STALE_SECONDS = 120.0
"""An attempt that has not beaten for so long is dead."""
FAILURES = ("timed-out", "out-of-memory", "killed")
"""Outcomes of attempts that may be tried again, but not for ever."""


def outcome_of(attempt: Any) -> str | None:
    """How an attempt ended: as noted, or `killed` when it is dead. None: it lives."""
    if attempt.outcome is not None:
        return str(attempt.outcome)
    host, pid = attempt.owner.split(":")[:2]
    gone = host == socket.gethostname() and not _lives(int(pid))
    return "killed" if gone or time.time() - attempt.heartbeat > STALE_SECONDS else None


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
