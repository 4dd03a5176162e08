"""Worker processes on this machine: as many as it has cores, or as it has GPUs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.executors.memory import ENOUGH, LEAST, free_memory
from harness.executors.pool import Pool
from harness.executors.process import TICK, Message, Worker, cores, receive

if TYPE_CHECKING:
    import torch


class Local(Pool[Worker]):
    """The workers of a request, on this machine, each with its share of cores and memory.

    memory: bytes that all together may keep for the backward pass; if None, half of what is free, and no more
    than ENOUGH
    timeout: seconds that a population may take
    """

    def __init__(self, engine: str, memory: int | None = None, timeout: float | None = None) -> None:
        super().__init__(timeout)
        self.free = free_memory()
        self.engine = engine
        self.memory = memory or min(self.free // 2, ENOUGH)
        self.devices: list[str] = []

    def start(self, device: str, most: int) -> None:
        """Have workers for this device: one for each core, or one for a GPU; no more than there is work."""
        self.devices = _devices(device)
        self.device = self.devices[0]
        self.size = max(1, min(len(self.devices), most))
        self._fill(self.size)

    def _open(self) -> Worker:
        taken = [worker.settings["device"] for worker in self.workers]
        device = min(self.devices, key=taken.count)
        settings = {"device": device, "engine": self.engine, "memory": self.memory // self.size}
        threads = 1 if device == "cpu" else max(1, cores() // self.size)
        return Worker(threads, settings, limit=max(LEAST, self.free // self.size))

    def _ready(self) -> list[Worker]:
        return self.workers

    def _receive(self, busy: Sequence[Worker]) -> list[tuple[Worker, Message]]:
        return receive(busy, TICK)


def _devices(name: str) -> list[str]:
    """The device of each worker that there is a place for."""
    if name == "cpu" or (name == "auto" and not Path("/dev/nvidiactl").exists()):
        return ["cpu"] * cores()  # known without torch, whose import takes seconds
    device = find_device(name)
    if device.type == "cpu":
        return ["cpu"] * cores()
    import torch

    count = torch.cuda.device_count()
    if device.index is not None or count == 1:
        return [str(device)]
    return [f"cuda:{number}" for number in range(count)]


def find_device(name: str) -> "torch.device":
    """The device that `auto`, `cpu`, `cuda` or `cuda:n` means. Raises UserError where it is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"unknown device {name!r}: write auto, cpu, cuda or cuda:n")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name} is not here: torch sees {torch.cuda.device_count()} CUDA devices")
    return device
