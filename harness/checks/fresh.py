"""Processes in which nothing of a cell has run yet, each begun in a moment.

They are forked from a *server*: a process that has imported all there is to import, and does nothing else.
"""

import atexit
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from harness.executors.worker import describe
from harness.registry import ROOT

_START = f"import sys; sys.path.append({str(ROOT)!r}); from harness.checks.fresh import main; main()"

Say = Callable[[Any], None]


class Lost(Exception):
    """A process that hung, raised or was brought down; the message says which."""


def begin(work: Callable[..., None], *arguments: Any, seconds: float | None = None) -> Iterator[Any]:
    """What `work(say, *arguments)` says in a process of its own, as it comes.

    work: a function of a module; it, its arguments and what it says are pickled
    seconds: how long it may be silent
    Raises Lost when it is silent for longer, raises, or ends its process.
    """
    global _server
    if _server is None or _server.gone:
        _server = _started()
    return _server.run(work, arguments, seconds)


class _Server:
    """The connection to a server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.gone = False
        connection.recv()  # it is ready

    def run(self, work: Callable[..., None], arguments: Any, seconds: float | None) -> Iterator[Any]:
        self.connection.send_bytes(pickle.dumps((work, arguments)))
        _, pid = self._receive()
        ended, late, error = False, False, None
        try:
            while not ended:
                if not (late or self.connection.poll(seconds)):
                    late = True
                    os.kill(pid, signal.SIGKILL)
                kind, content = self._receive()
                if kind == "ended":
                    ended = True
                elif kind == "raised":
                    error = content
                elif not late:
                    yield content
        finally:
            if not ended and not self.gone:  # nobody listens any more
                os.kill(pid, signal.SIGKILL)
                while self._receive()[0] != "ended":
                    pass
        if late:
            raise Lost(f"it hangs: it was not done after {seconds:g} s")
        if error or content:
            how = f"was ended by signal {-content}" if content < 0 else f"exited with code {content}"
            raise Lost(error or f"its process {how}")

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, content = self.connection.recv()
            return kind, content
        except (EOFError, ConnectionResetError):
            self.gone = True
            raise Lost("the process that it was to be begun from is gone") from None


_server: _Server | None = None


def _started() -> _Server:
    ours, theirs = Pipe()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=sys.__stderr__,  # what a cell prints is no result
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return _Server(ours)


def main() -> None:
    """The life of a server that was started by its program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to handle
    serve(Connection(int(sys.argv[1])))


def serve(connection: Connection) -> None:
    """Fork for each piece of work that comes, until the other side is gone."""
    connection.send("ready")
    while True:
        try:
            asked = connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            return
        alive, held = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(alive)
            _work(connection, asked)
        os.close(held)
        wait([connection, alive])
        os.close(alive)
        if connection.poll():  # nothing is sent meanwhile: the other side is gone
            os.kill(pid, signal.SIGKILL)
            return
        connection.send(("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _work(connection: Connection, asked: bytes) -> None:
    """Do what is asked, and end this process."""
    connection.send(("began", os.getpid()))
    try:
        work, arguments = pickle.loads(asked)
        work(lambda what: connection.send(("said", what)), *arguments)
    except BaseException as error:
        connection.send(("raised", describe(error)))
    os._exit(0)


def keep() -> None:
    """Have this process, while it is fresh, be what those that it begins are forked from."""
    global _server
    ours, theirs = Pipe()
    if not os.fork():
        ours.close()
        serve(theirs)
        os._exit(0)
    theirs.close()
    _server = _Server(ours)
