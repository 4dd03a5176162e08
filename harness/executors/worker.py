"""A worker: a process that trains one population after another, and dies with its driver.

It is started as `python -c … FD`, the first of a session. It reads jobs from the connection of that file
descriptor, and writes messages `(kind, content)` to it, the content pickled: `began`, `progress`, `note`, and
at last `outcome`.
"""

import faulthandler
import hashlib
import os
import pickle
import platform
import re
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.executors.job import Done, Failed, Job, Outcome, Trial

if TYPE_CHECKING:
    from harness.engine.checkpoint import Checkpoint

REPORT_SECONDS = 0.2

Tell = Callable[[str, Any], None]
"""Tells the driver a kind of message, and its content."""


def main() -> None:
    """The life of a worker: until the driver closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_end_with_driver, args=[os.getppid()], daemon=True).start()
    faulthandler.enable(all_threads=False)  # where in a cell it was, if a signal ends it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("500")  # rather this than its driver
    os.set_inheritable(int(sys.argv[1]), False)
    connection: Connection = Connection(int(sys.argv[1]))

    def tell(kind: str, content: Any) -> None:
        connection.send((kind, pickle.dumps(content)))

    try:
        import torch

        import harness.engine  # noqa: F401  # its import takes seconds, which are none of a job's

        threads, settings = connection.recv()
        torch.set_num_threads(threads)
        while True:
            job, steps_ahead = connection.recv()
            tell("began", None)
            if isinstance(job, Trial):
                tell("outcome", build(job))
            else:
                tell("outcome", work(job, {**settings, "steps_ahead": steps_ahead}, tell))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _end()  # the driver is gone


def _end_with_driver(driver: int) -> None:
    """End when the driver is gone: a cell that hangs would never find out."""
    while os.getppid() == driver:
        time.sleep(1)
    _end()


def _end() -> None:
    """End, with all that cells have started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def build(trial: Trial) -> Outcome:
    """Load and build a cell as a plan does. An exception is no failure here: the plan will meet it too."""
    from harness.model import EMBEDDING, solve_width, state_floats
    from harness.registry import find_cell

    try:
        spec = find_cell(trial.cell)
        state_floats(spec.build(EMBEDDING, trial.hidden_size or solve_width(spec, trial.budget)))
    except Exception:
        pass
    except SystemExit as error:
        return Failed("crashed", describe(error), 0, 0.0, {})
    return Done([], {})


def work(job: Job, settings: dict[str, Any], tell: Tell) -> Outcome:
    """Train a population; what the cell raises, and a lack of memory, are outcomes."""
    import torch

    from harness.engine import Member, Population, Progress, Settings, train
    from harness.engine.engines import out_of_memory
    from harness.errors import UserError
    from harness.protocol import Protocol
    from harness.registry import find_cell, find_task

    torch.set_float32_matmul_precision("highest")  # no TF32: a GPU computes what a CPU does
    torch.backends.cudnn.allow_tf32 = False
    settings = dict(settings)
    device = torch.device(settings.pop("device"))
    checkpoint = _checkpoint(job, device)
    began, told, update = time.perf_counter(), 0.0, 0

    def report(progress: Progress) -> None:
        nonlocal told, update
        update = progress.update
        if time.perf_counter() - told > REPORT_SECONDS or progress.update == progress.updates:
            told = time.perf_counter()
            tell("progress", progress)

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
            Settings(**settings, device=device, checkpoint=checkpoint),
            report=report,
            note=lambda line: tell("note", line),
        )
        checkpoint.done()
        return Done(trained, {**provenance(device), "engine": trained[0].engine})
    except (BrokenPipeError, ConnectionResetError):
        raise
    except (Exception, SystemExit) as error:
        if out_of_memory(error):
            return failed("out-of-memory", str(error).strip().partition("\n")[0])
        checkpoint.done()
        return failed("crashed", describe(error, spec.cls))


def _checkpoint(job: Job, device: Any) -> "Checkpoint":
    """Where the training of such a job is kept, on this machine."""
    import torch

    from harness.engine import NUMERICS
    from harness.engine.checkpoint import Checkpoint

    whole = {**asdict(job), "numerics": NUMERICS, "torch": torch.__version__, "device": device.type}
    del whole["members"], whole["cost"]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    population = hashlib.sha256(repr(sorted(whole.items())).encode()).hexdigest()
    return Checkpoint(Path(cache, "recurrent-harness", "checkpoints"), population, job.members)


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
