"""A worker: a process that trains one population after another, and dies with its driver.

It is started as `python -c … FD`, reads jobs from the connection of that file descriptor, and writes
messages `(kind, content)` to it: `progress`, `note`, and at last `outcome`.
"""

import os
import platform
import re
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from harness.executors.job import Done, Failed, Job, Outcome

REPORT_SECONDS = 0.2


def main() -> None:
    """The life of a worker: until the driver closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_end_with_driver, args=[os.getppid()], daemon=True).start()
    connection: Connection = Connection(int(sys.argv[1]))
    try:
        import torch

        threads, settings = connection.recv()
        torch.set_num_threads(threads)
        while True:
            job, steps_ahead = connection.recv()
            connection.send(("outcome", work(job, {**settings, "steps_ahead": steps_ahead}, connection)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the driver is gone


def _end_with_driver(driver: int) -> None:
    """End when the driver is gone: a cell that hangs would never find out."""
    while os.getppid() == driver:
        time.sleep(1)
    os._exit(0)


def work(job: Job, settings: dict[str, Any], connection: Connection) -> Outcome:
    """Train a population; what the cell raises, and a lack of memory, are outcomes."""
    import torch

    from harness.engine import Member, Population, Progress, Settings, train
    from harness.engine.engines import out_of_memory
    from harness.errors import UserError
    from harness.protocol import Protocol
    from harness.registry import find_cell, find_task

    torch.set_float32_matmul_precision("highest")  # no TF32: a GPU computes what a CPU does
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(settings["device"])
    began, told, update = time.perf_counter(), 0.0, 0

    def report(progress: Progress) -> None:
        nonlocal told, update
        update = progress.update
        if time.perf_counter() - told > REPORT_SECONDS or progress.update == progress.updates:
            told = time.perf_counter()
            connection.send(("progress", progress))

    def failed(outcome: Any, reason: str) -> Failed:
        return Failed(outcome, reason, update + 1, time.perf_counter() - began, provenance(device))

    try:
        spec = find_cell(job.cell)
    except UserError as error:
        return failed("killed", str(error))  # it was there when the job was made
    try:
        if spec.file.version != job.cell_version:
            return failed("killed", f"{job.cell} is not of version {job.cell_version} any more")
        population = Population(
            spec,
            find_task(job.task),
            Protocol(**job.protocol),
            job.hidden_size,
            job.gap,
            tuple(Member(*member) for member in job.members),
        )
        trained = train(
            population,
            Settings(**{**settings, "device": device}),
            report=report,
            note=lambda line: connection.send(("note", line)),
        )
        return Done(trained, {**provenance(device), "engine": trained[0].engine})
    except (BrokenPipeError, ConnectionResetError):
        raise
    except (Exception, SystemExit) as error:
        if out_of_memory(error):
            return failed("out-of-memory", str(error).strip().partition("\n")[0])
        return failed("crashed", describe(error, spec.cls))


def describe(error: BaseException, cls: type | None = None) -> str:
    """An exception in one line: where in the cell it was raised, its type and message.

    cls: the cell's class; where a method of it does not take what it is called with, that is the place
    """
    import torch

    first = str(error).strip().partition("\n")[0]
    called = re.match(r"\w+\.(\w+)\(\) (takes|missing|got)", first) if isinstance(error, TypeError) else None
    if called and (code := getattr(getattr(cls, called[1], None), "__code__", None)):
        return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}: TypeError: {first}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if not f.filename.startswith((os.path.dirname(torch.__file__), "<"))]
    return f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}: {type(error).__name__}: {first}"


def provenance(device: Any) -> dict[str, Any]:
    """On what a population was trained."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
        "device_name": name,
        "threads": torch.get_num_threads(),
        "tf32": torch.get_float32_matmul_precision() != "highest" or torch.backends.cudnn.allow_tf32,
        "host": socket.gethostname(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
