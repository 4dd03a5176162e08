"""How, not what, a population trains."""

from dataclasses import dataclass
from typing import Literal

import torch

from harness.engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class Settings:
    """Where and by which engine to train: none of it changes a result beyond rounding."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    engine: Literal["auto", "reference", "eager", "compiled"] = "auto"
    memory: int = 2 << 30
    """Bytes that the residuals of one pass may take."""
    steps_ahead: int = 0
    """Steps of other populations that a compiled step will be used for too."""
    checkpoint: Checkpoint | None = None
    """Where a long training is kept up, and gone on from."""
