"""From counts to knowledge: curves with their uncertainty, boards of cells, and what the data can tell apart.

Pure functions of the store's frames. A failed run counts as chance; choosing a learning rate sees validation
counts only, and test counts of a rate that was not chosen enter nothing.
"""

from harness.stats.board import FULL, Chosen, Standings, Terms, board, choose, measure, pair, rank_text
from harness.stats.curves import (
    ENTRY,
    accuracy,
    curves,
    entries,
    failures,
    horizon_text,
    rates_text,
    select,
    summary,
)
from harness.stats.measures import FEW, gap_auc, interval, interval_name, normalised
from harness.stats.ranking import compare, compare_tasks, rank_ranges, tie_groups

__all__ = [
    "ENTRY",
    "FEW",
    "FULL",
    "Chosen",
    "Standings",
    "Terms",
    "accuracy",
    "board",
    "choose",
    "compare",
    "compare_tasks",
    "curves",
    "entries",
    "failures",
    "gap_auc",
    "horizon_text",
    "interval",
    "interval_name",
    "measure",
    "normalised",
    "pair",
    "rank_ranges",
    "rank_text",
    "rates_text",
    "select",
    "summary",
    "tie_groups",
]
