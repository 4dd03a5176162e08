"""The IRNN: a network of rectified linear units whose recurrent matrix starts as the identity.

    h_t = relu(W x_t + U h_{t−1} + b)        U = I, b = 0 at the start

At the start a unit holds what it has until an input changes it, and gradients neither vanish nor explode.

Source: Q. Le, N. Jaitly & G. Hinton, "A simple way to initialize recurrent networks of rectified linear
units" 2015 (arXiv 1504.00941). The other weights start normal, with standard deviation 0.001, as there.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class IRNN(Cell):
    """IRNN: rectified linear units, the recurrent matrix starting as the identity (Le et al. 2015).

    x (B, D); state h (B, H); W (H, D), U (H, H), b (H).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(hidden_size, input_size).normal_(std=0.001))
        self.U = nn.Parameter(torch.eye(hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, H), state h (B, H)."""
        h = torch.relu(pre + state @ self.U.T)
        return h, h
