"""The vanilla recurrent network of Elman (1990), with the equation and initialisation of `torch.nn.RNN`.

    h_t = tanh(W x_t + U h_{t−1} + b)

Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).
"""

import torch
from torch import Tensor, nn

from harness import Cell


class RNN(Cell):
    """Vanilla RNN: tanh of input plus recurrence (Elman 1990).

    x (B, D); state h (B, H); W (H, D), U (H, H), b (H). All weights start uniform in ±1/√H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, H), state h (B, H)."""
        h = torch.tanh(pre + state @ self.U.T)
        return h, h
