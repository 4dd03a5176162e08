"""What was measured, for ever: runs with their scores, and the attempts, cards and protocols behind them."""

from harness.store.plans import Plans
from harness.store.records import Card, Point, Recorded, RunRequest, RunResult, Score
from harness.store.store import Claim, Store

__all__ = ["Card", "Claim", "Plans", "Point", "Recorded", "RunRequest", "RunResult", "Score", "Store"]
