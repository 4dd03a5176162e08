"""How much memory there is, and how much a process holds, as Linux tells; elsewhere little is known of it."""

import os
from collections.abc import Iterator
from pathlib import Path

ENOUGH = 3 << 29
"""Bytes to keep of a pass for its way back: keeping more is hardly quicker than computing it again."""
LEAST = 2 << 30
"""Bytes that a worker may hold in any case: torch and its compiler take half of that."""


def free_memory() -> int:
    """Bytes that processes could still have: of the machine, or of the container that this is."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            known = {name: int(rest.split()[0]) << 10 for name, rest in (line.split(":") for line in lines)}
        return min(known["MemAvailable"], *_limits())
    except (OSError, KeyError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits() -> Iterator[int]:
    """What the control groups that this process sees as its own leave it."""
    folder = Path("/sys/fs/cgroup")
    for most, now in (
        (folder / "memory.max", folder / "memory.current"),
        (folder / "memory/memory.limit_in_bytes", folder / "memory/memory.usage_in_bytes"),
    ):
        try:
            yield max(0, int(most.read_text()) - int(now.read_text()))
        except (OSError, ValueError):
            yield 1 << 63  # there is none, or no limit


def held(pid: int) -> int:
    """Bytes that a process and its children have of their own; 0 where that is not known."""
    try:
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
        mine = (resident - shared) * os.sysconf("SC_PAGE_SIZE")
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return 0  # it has ended, or this is no Linux
    return mine + sum(held(int(child)) for children in lists for child in children.split())


def kills() -> int:
    """How many processes the kernel has ended for lack of memory, since it started."""
    try:
        with open("/proc/vmstat", encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0
