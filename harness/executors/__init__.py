"""Where populations train: worker processes, which take jobs and give back results as plain data."""

from harness.executors.job import Done, EngineName, Failed, Job, Outcome
from harness.executors.local import Pool, divide

__all__ = ["Done", "EngineName", "Failed", "Job", "Outcome", "Pool", "divide"]
