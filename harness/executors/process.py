"""A worker seen from outside: a process, and what watches over its time, its memory and what it prints."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from typing import Any, NamedTuple

from harness.executors import memory
from harness.executors.job import Failed, Job, Trial
from harness.registry import ROOT

TICK = 0.5
"""Seconds between two looks at a worker that says nothing."""
KEPT, SHOWN = 1 << 14, 1 << 12
"""Bytes that are kept of what a worker prints, the last ones; characters of them that are told."""
_DEATH = "Fatal Python error"
"""Begins what the interpreter prints when a signal ends it: where it was, innermost call first."""

_MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=2147483647"
"""Has glibc keep what is freed, in huge pages: giving pages back, to fault them in again at once, is slow."""

_START = f"import sys; sys.path.append({str(ROOT)!r}); from harness.executors.worker import main; main()"


class Message(NamedTuple):
    """What came from a worker. The content stays pickled: who only passes it on needs no torch."""

    kind: str
    """`progress`, `note` or `outcome`"""
    content: bytes
    output: str = ""
    """With an outcome: the last that was printed on the way to it."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """The environment variables of a process that trains with so many threads."""
    own = os.environ.get("GLIBC_TUNABLES")
    return {"OMP_NUM_THREADS": str(threads), "GLIBC_TUNABLES": f"{_MALLOC}:{own}" if own else _MALLOC}


class Worker:
    """A process that trains, the connection to it, and the pipe that it prints to.

    It is a session of its own, and ends with all that it has started. It imports torch while who started it
    goes on.

    settings: device, engine, and the memory for the backward pass
    limit: bytes that it and its children may hold
    where: its folder and environment variables, should they be others than ours
    """

    def __init__(
        self, threads: int, settings: Mapping[str, Any], limit: int, where: Mapping[str, Any] | None = None
    ) -> None:
        self.settings, self.limit = settings, limit
        self.job: int | None = None
        self.connection, theirs = Pipe()
        self.output: int | None
        self.output, printed = os.pipe()
        os.set_blocking(self.output, False)
        fd, there = theirs.fileno(), where or {}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", _START, str(fd)],
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            cwd=there.get("folder"),
            env={**os.environ, **there.get("variables", {}), **environment(threads)},
            start_new_session=True,
        )
        theirs.close()
        os.close(printed)
        self._printed = b""
        self._tell((threads, dict(settings)))

    def give(self, job: Job | Trial, steps_ahead: int, timeout: float | None) -> None:
        """Have it do a job, for so many seconds at most; what it printed before is forgotten."""
        self._read()
        self._printed, self._timeout, self._until = b"", timeout, float("inf")
        self._kills, self._looked = memory.kills(), time.monotonic()
        self._tell((job, steps_ahead))

    def alive(self) -> bool:
        """Whether it runs still. One that has ended is left as it is: its number stays its group's."""
        if self.process.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def stop(self) -> None:
        """End it at once, and all that it has started."""
        if self.process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS: of a group that has ended already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self._close_output()

    def messages(self) -> list[Message]:
        """What has come from it since; the last is an outcome where the job is done, or it cannot go on."""
        ended = not self.alive()
        self._read()
        found = []
        try:
            while self.connection.poll():
                kind, content = self.connection.recv()
                if kind == "began":
                    self._until = time.monotonic() + (self._timeout or float("inf"))
                    continue
                found.append(Message(kind, content))
                if kind == "outcome":
                    self._read()
                    return [*found[:-1], found[-1]._replace(output=told(self._printed))]
        except (EOFError, OSError):
            ended = True
        failure = self._death() if ended else self._excess()
        if failure is not None:
            outcome = pickle.dumps(Failed(*failure, 0, 0.0, {}))
            found.append(Message("outcome", outcome, told(self._printed)))
        return found

    def _tell(self, message: tuple[Any, ...]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: `messages` will say so
            self.connection.send(message)

    def _death(self) -> tuple[Any, str]:
        until = time.monotonic() + 1
        while self.alive() and time.monotonic() < until:
            time.sleep(0.01)  # the connection is closed before all of a process is gone
        self._read()
        self.stop()
        code = self.process.returncode
        if code == -signal.SIGKILL and memory.kills() > self._kills:
            return "out-of-memory", "the kernel ended the worker for lack of memory"
        how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return "killed", f"the worker {how}"

    def _excess(self) -> tuple[Any, str] | None:
        """Why it must not go on, and then does not."""
        now = time.monotonic()
        if now > self._until:
            self._read()
            self.stop()
            return "timed-out", f"it was not done within {self._timeout:g} s"
        if now - self._looked > TICK:
            self._looked = now
            held = memory.held(self.process.pid)
            if held > self.limit:
                self._read()
                self.stop()
                return (
                    "out-of-memory",
                    f"the worker held {held / 1e9:.1f} GB, of {self.limit / 1e9:.1f} GB that are its share",
                )
        return None

    def _read(self) -> None:
        """Take what it has printed, up to now: no more than fits the pipe."""
        for _ in range(16):
            try:
                new = b"" if self.output is None else os.read(self.output, 1 << 16)
            except BlockingIOError:
                return
            if not new:
                self._close_output()
                return
            self._printed = (self._printed + new)[-KEPT:]

    def _close_output(self) -> None:
        if self.output is not None:
            os.close(self.output)
            self.output = None


def told(printed: bytes) -> str:
    """The end of what a worker printed, from the start of a line where it can be, fit for a terminal. Where
    the interpreter tells of a signal that ended it, how that begins.
    """
    text = printed.decode(errors="replace").replace("\r", "\n")
    text = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text).strip("\n")
    _, death, where = text.rpartition(_DEATH)
    if death:
        return (death + where)[:SHOWN]
    if len(text) > SHOWN:
        text = text[-SHOWN:].partition("\n")[2] or text[-SHOWN:]
    return text


def receive(workers: Sequence[Worker], seconds: float) -> list[tuple[Worker, Message]]:
    """What busy workers say, once there is something or after so many seconds."""
    waited = [w.connection for w in workers] + [w.output for w in workers if w.output is not None]
    wait(waited, seconds)
    return [(worker, message) for worker in workers for message in worker.messages()]
