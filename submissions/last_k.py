"""The last-k-tokens model: a network that sees the last k inputs and nothing before them.

    y_t = tanh(W [x_{t−k+1}; …; x_{t−1}; x_t] + b)        x before the first is zero

What it scores above chance at a gap of k or more is no memory: the task gives its answers away. So it is a
reference, outside the comparison.

Source: Y. Bengio, R. Ducharme, P. Vincent & C. Jauvin, "A neural probabilistic language model", JMLR 3
(2003), section 2, without its direct connections from input to output.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class LastK(Cell):
    """Last-k-tokens model: one hidden layer over the last k inputs, a reference (Bengio et al. 2003).

    x (B, D); state: the last k − 1 inputs (B, k − 1, D), oldest first; W (H, k D), b (H), starting uniform in
    ±1/√(k D). Raises ValueError for k below 1.
    """

    reference = True

    def __init__(self, input_size: int, hidden_size: int, *, k: int = 8) -> None:
        if k < 1:
            raise ValueError(f"k={k}: give at least 1 token")
        super().__init__(input_size, hidden_size)
        self.k = k
        self.W = nn.Parameter(torch.empty(hidden_size, k * input_size))
        self.b = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -((k * input_size) ** -0.5), (k * input_size) ** -0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, k − 1, D)."""
        return torch.zeros(batch_size, self.k - 1, self.input_size, device=device, dtype=dtype)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D), state (B, k − 1, D)."""
        seen = torch.cat([state, x[:, None]], dim=1)  # (B, k, D)
        return torch.tanh(seen.flatten(1) @ self.W.T + self.b), seen[:, 1:]
