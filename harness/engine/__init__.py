"""How a population trains, fast: from a Population to what became of each of its members."""

from harness.engine.population import Count, Member, Population, Progress, Trained
from harness.engine.settings import Settings
from harness.engine.train import train

NUMERICS = 1
"""Raised whenever results may change: it is part of a run's key."""

__all__ = [
    "NUMERICS",
    "Count",
    "Member",
    "Population",
    "Progress",
    "Settings",
    "Trained",
    "train",
]
