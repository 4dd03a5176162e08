"""The gated recurrent unit, in the variant of cuDNN and `torch.nn.GRU`, or in the published one.

    r = σ(W_r x_t + U_r h_{t−1} + b_r)
    z = σ(W_z x_t + U_z h_{t−1} + b_z)
    n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t−1} + b_hn))        reset=after, the default
    n = tanh(W_n x_t + b_n + U_n (r ⊙ h_{t−1}))               reset=before
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}

Source: K. Cho et al. 2014 (arXiv 1406.1078), equations 5–8: its third version resets before the product with
U_n, its first one after.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from harness import Cell


class GRU(Cell):
    """Gated recurrent unit, reset after the product as in cuDNN, or before it (Cho et al. 2014).

    x (B, D); state h (B, H). Rows of W (3H, D), U (3H, H), b (3H): r, z, n in torch's order; b_hn (H) only
    with reset=after, where it is no summand of b_n. All weights start uniform in ±1/√H, as in torch.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, reset: Literal["after", "before"] = "after"
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.reset = reset
        self.W = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(3 * hidden_size))
        if reset == "after":
            self.b_hn = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., 3H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, 3H), state h (B, H)."""
        h = state
        H = self.hidden_size
        if self.reset == "after":
            r, z, n = pre.chunk(3, dim=-1)  # (B, H) each
            u_r, u_z, u_n = (h @ self.U.T).chunk(3, dim=-1)
            r, z = torch.sigmoid(r + u_r), torch.sigmoid(z + u_z)
            n = torch.tanh(n + r * (u_n + self.b_hn))
        else:
            gates, n = pre.split([2 * H, H], dim=-1)
            r, z = torch.sigmoid(gates + h @ self.U[: 2 * H].T).chunk(2, dim=-1)
            n = torch.tanh(n + (r * h) @ self.U[2 * H :].T)
        h = (1 - z) * n + z * h
        return h, h
