"""The GRU of the published cells, written with nothing but `step`: what a first plugin looks like."""

import torch
from torch import Tensor, nn

from harness import Cell


class PlainGRU(Cell):
    """Gated recurrent unit, reset after the product (Cho et al. 2014), all of it in `step`.

    x (B, D); state h (B, H). Rows of W (3H, D), U (3H, H), b (3H): r, z, n; b_hn (H).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(3 * hidden_size))
        self.b_hn = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: x (B, D), state h (B, H)."""
        h = state
        r, z, n = (x @ self.W.T + self.b).chunk(3, dim=-1)  # (B, H) each
        u_r, u_z, u_n = (h @ self.U.T).chunk(3, dim=-1)
        r, z = torch.sigmoid(r + u_r), torch.sigmoid(z + u_z)
        n = torch.tanh(n + r * (u_n + self.b_hn))
        h = (1 - z) * n + z * h
        return h, h
