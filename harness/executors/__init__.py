"""Where populations train: worker processes, which take jobs and give back results as plain data."""

from harness.executors.job import Done, Failed, Job, Outcome, Plan
from harness.executors.local import Pool, divide

__all__ = ["Done", "Failed", "Job", "Outcome", "Plan", "Pool", "divide"]
