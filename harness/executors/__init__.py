"""Where populations train: worker processes, which take jobs and give back results as plain data.

What hands jobs out is an Executor: `local` has its workers on this machine, `ray` on a cluster.
"""

from typing import Literal, get_args

from harness.errors import UserError, unknown
from harness.executors.job import Done, EngineName, Failed, Job, Outcome, Trial
from harness.executors.local import Local
from harness.executors.pool import Executor, divide

ExecutorName = Literal["local", "ray"]


def find_executor(
    name: str = "local",
    engine: str = "auto",
    memory: int | None = None,
    timeout: float | None = None,
    address: str | None = None,
) -> Executor:
    """The executor of this name, with nothing started yet.

    engine: how its workers run cells: an EngineName
    memory: bytes that all workers of a machine together may keep for the backward pass
    timeout: seconds that a population may take, once its worker has it
    address: of a Ray cluster; a Ray of our own on this machine if None, unless `RAY_ADDRESS` names one
    Raises UserError on an unknown name, and where Ray is asked for and not installed.
    """
    if name not in get_args(ExecutorName):
        raise unknown("executor", name, get_args(ExecutorName))
    if name == "local":
        if address is not None:
            raise UserError(f"--address {address} is of a Ray cluster: it goes with --executor ray")
        return Local(engine, memory, timeout)
    from harness.executors.ray import OnRay

    return OnRay(engine, memory, timeout, address)


__all__ = [
    "Done",
    "EngineName",
    "Executor",
    "ExecutorName",
    "Failed",
    "Job",
    "Local",
    "Outcome",
    "Trial",
    "divide",
    "find_executor",
]
