"""Worker processes on the machines of a Ray cluster, or on this one by way of Ray.

Ray has an actor for each worker. All that it does is to start beside itself the same worker process as the
local executor does, to watch over it, and to pass on what it says: neither torch nor a cell is ever imported
into a process of Ray's.
"""

import os
import pickle
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.executors.job import Failed, Job, Trial
from harness.executors.memory import ENOUGH, LEAST, free_memory
from harness.executors.pool import Pool
from harness.executors.process import TICK, Message, Worker, cores, receive

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
KNOCK_SECONDS = 10.0
"""How long a cluster has to answer at its address."""
_STORE = 128 << 20
"""Bytes of Ray's object store, where Ray is ours: what crosses is small."""


class Place:
    """The actor: on the machine where it is, a worker process, and another after one that died.

    places: how many there may be on a machine
    where: folder and environment variables that the worker should have too, as far as they are there
    """

    def __init__(
        self, places: int, device: str, engine: str, memory: int | None, where: dict[str, Any]
    ) -> None:
        free = free_memory()
        kept = memory or min(free // 2, ENOUGH)
        self.settings = {"device": device, "engine": engine, "memory": kept // places}
        self.threads = 1 if device == "cpu" else max(1, cores() // places)
        self.limit = max(LEAST, free // places)
        self.where = where if Path(where["folder"]).is_dir() else {**where, "folder": None}
        self.worker = self._open()

    def _open(self) -> Worker:
        return Worker(self.threads, self.settings, self.limit, self.where)

    def ready(self) -> None:
        """Answers once the actor is there."""

    def give(self, job: Job | Trial, steps_ahead: int, timeout: float | None) -> None:
        """Have the worker do the job."""
        if not self.worker.alive():
            self.worker = self._open()
        self.worker.give(job, steps_ahead, timeout)

    def messages(self) -> list[Message]:
        """What the worker says; waits until it says something."""
        while not (found := receive([self.worker], TICK)):
            pass
        return [message for _, message in found]


class Seat:
    """The driver's side of a Place."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.job: int | None = None
        self.pending = actor.ready.remote()
        """What it will answer next."""
        self.ready = self.dead = False

    def give(self, job: Job | Trial, steps_ahead: int, timeout: float | None) -> None:
        """Have the job done there."""
        self.actor.give.remote(job, steps_ahead, timeout)
        self.pending = self.actor.messages.remote()

    def alive(self) -> bool:
        """Whether it is not known that it is gone."""
        return not self.dead

    def stop(self) -> None:
        """End it; its worker then ends by itself."""
        import ray

        ray.kill(self.actor)

    def messages(self) -> list[Message]:
        """What it has answered."""
        import ray

        try:
            found: list[Message] | None = ray.get(self.pending)
        except ray.exceptions.RayError as error:
            self.dead = True
            reason = f"its place on the cluster is gone: {_said(error)}"
            if self.job is None:
                raise _Unborn(reason) from error
            return [Message("outcome", pickle.dumps(Failed("killed", reason, 0, 0.0, {})))]
        if found is None:
            self.ready = True
            return []
        if found[-1].kind != "outcome":
            self.pending = self.actor.messages.remote()
        return found


class _Unborn(Exception):
    """A worker's place was lost before there was anything for it to do."""


class OnRay(Pool[Seat]):
    """Workers of a request on a Ray cluster, as many as it has CPUs or GPUs when we come.

    memory: bytes that all on one machine may keep for the backward pass, chosen as by Local if None
    timeout: seconds that a population may take
    address: the cluster's; None: `RAY_ADDRESS`, else a Ray on this machine, which is shut down at the end
    """

    def __init__(
        self,
        engine: str,
        memory: int | None = None,
        timeout: float | None = None,
        address: str | None = None,
    ) -> None:
        super().__init__(timeout)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # says so at length otherwise
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError("--executor ray needs Ray: pip install 'recurrent-harness[ray]'") from None
        self.engine, self.memory = engine, memory
        self.address = address or os.environ.get("RAY_ADDRESS")
        self.places = 1
        self.unborn = 0
        """How many workers were lost before they had begun."""
        self._ours = not ray.is_initialized()

    def start(self, device: str, most: int) -> None:
        """Connect to the cluster, or start one, and have as many workers as it has places."""
        import ray

        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"--device {device}: Ray chooses which GPU: write auto, cpu or cuda")
        if self._ours:
            _connect(self.address)
        has = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpu = device == "cuda" or (device == "auto" and any(node.get("GPU") for node in has))
        self.device, kind = ("cuda", "GPU") if gpu else ("cpu", "CPU")
        places = [int(node.get(kind, 0)) for node in has]
        if not any(places):
            raise UserError(f"the Ray cluster at {self.address or 'this machine'} has no {kind}")
        self.places = max(places)
        self.size = max(1, min(sum(places), most))
        self._fill(self.size)

    def __exit__(self, *exception: object) -> None:
        import ray

        super().__exit__()
        if self._ours:
            ray.shutdown()

    def _open(self) -> Seat:
        import ray

        named = ("HARNESS_SUBMISSIONS", "XDG_CACHE_HOME")
        variables = {name: os.environ[name] for name in named if name in os.environ}
        where = {"folder": os.getcwd(), "variables": variables}
        actor: Any = ray.remote(num_cpus=1, num_gpus=int(self.device == "cuda"), max_restarts=0)(Place)
        return Seat(actor.remote(self.places, self.device, self.engine, self.memory, where))

    def _ready(self) -> list[Seat]:
        return [seat for seat in self.workers if seat.ready]

    def _receive(self, busy: Sequence[Seat]) -> list[tuple[Seat, Message]]:
        import ray

        coming = {seat.pending: seat for seat in self.workers if seat in busy or not seat.ready}
        ray.wait(list(coming), num_returns=1, timeout=TICK)
        there, _ = ray.wait(list(coming), num_returns=len(coming), timeout=0)
        found = []
        for seat in (coming[ref] for ref in there):
            try:
                found += [(seat, message) for message in seat.messages()]
            except _Unborn as error:
                self.unborn += 1
                if self.unborn > self.size:
                    raise UserError(f"Ray cannot start workers: {error}") from error
        return found


def _connect(address: str | None) -> None:
    """Have Ray: the one at an address, or a new one on this machine. Raises UserError where there is none."""
    import ray

    what = f"--address {address}: there is no Ray cluster" if address else "Ray cannot be started here"
    host, colon, port = (address or "").rpartition("//")[2].rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
        except OSError as error:  # Ray itself would try for minutes
            raise UserError(f"{what}: {error.strerror or error}") from error
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            ray.init(address=address, **_QUIET)
        else:
            ours: dict[str, Any] = {"num_cpus": cores(), "object_store_memory": _STORE}
            ray.init(address="local", include_dashboard=False, **ours, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(f"{what}: {_said(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own in its place


def _said(error: Exception) -> str:
    """An error of Ray's in one line: the first and the last of the many that it has."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {' … '.join(dict.fromkeys([lines[0], lines[-1]]))}"
