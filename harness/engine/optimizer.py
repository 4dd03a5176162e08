"""Adam over a stack of members: each with its own learning rate, gradient norm, clipping and fate.

Letters: P members, N parameters of one member.
"""

import torch
from torch import Tensor

from harness.protocol import Protocol


class StackedAdam:
    """Adam (Kingma & Ba 2015) on parameters (P, N), in place.

    A member whose loss or gradient is not finite is frozen at its last good parameters and marked with the
    update; nothing of it reaches another, and nothing is read back from the device.
    """

    def __init__(self, parameters: Tensor, rates: Tensor, protocol: Protocol) -> None:
        self.parameters = parameters
        self.rates = rates[:, None]
        self.protocol = protocol
        self.first = torch.zeros_like(parameters)
        self.second = torch.zeros_like(parameters)
        self.training = torch.ones(len(parameters), dtype=torch.bool, device=parameters.device)
        self.diverged_at = torch.zeros(len(parameters), dtype=torch.int64, device=parameters.device)

    def rows(self) -> dict[str, Tensor]:
        """All that changes along a training, a row for each member."""
        names = ("parameters", "first", "second", "training", "diverged_at")
        return {name: getattr(self, name) for name in names}

    @torch.no_grad()
    def step(self, update: int, loss: Tensor, gradient: Tensor) -> None:
        """Update number `update` (from 1), of losses (P,) and gradients (P, N)."""
        p = self.protocol
        norm = torch.linalg.vector_norm(gradient, dim=1)
        finite = torch.isfinite(loss) & torch.isfinite(norm)
        self.diverged_at.masked_fill_(self.training & ~finite, update)
        self.training &= finite
        clipped = gradient * (p.clip / norm.clamp(min=p.clip))[:, None]
        frozen = ~self.training[:, None]
        clipped.masked_fill_(frozen, 0.0)
        self.first.lerp_(clipped, 1 - p.beta1)
        self.second.mul_(p.beta2).addcmul_(clipped, clipped, value=1 - p.beta2)
        scale = (1 - p.beta2**update) ** 0.5
        step = self.first / self.second.sqrt().div_(scale).add_(p.epsilon)
        step.mul_(self.rates / (1 - p.beta1**update)).masked_fill_(frozen, 0.0)
        self.parameters -= step
