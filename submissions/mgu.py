"""The minimal gated unit: a GRU whose reset and update gates are one, the forget gate.

    f = σ(W_f x_t + U_f h_{t−1} + b_f)
    g = tanh(W_g x_t + U_g (f ⊙ h_{t−1}) + b_g)
    h_t = (1 − f) ⊙ h_{t−1} + f ⊙ g

As in the paper, f near 1 lets the new in and 1 − f keeps the old.

Source: G.-B. Zhou, J. Wu, C.-L. Zhang & Z.-H. Zhou, "Minimal gated unit for recurrent neural networks" 2016
(arXiv 1603.09420). The paper leaves the initialisation open: here it is that of `gru`.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class MGU(Cell):
    """Minimal gated unit: a GRU with one gate for two (Zhou et al. 2016).

    x (B, D); state h (B, H). Rows of W (2H, D), U (2H, H), b (2H): f, g. All weights start uniform in ±1/√H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(2 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., 2H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, 2H), state h (B, H)."""
        h = state
        U_f, U_g = self.U.chunk(2)
        f, g = pre.chunk(2, dim=-1)  # (B, H) each
        f = torch.sigmoid(f + h @ U_f.T)
        g = torch.tanh(g + (f * h) @ U_g.T)
        h = (1 - f) * h + f * g
        return h, h
