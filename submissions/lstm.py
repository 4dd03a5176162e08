"""Long short-term memory with forget gate, the equations of `torch.nn.LSTM`.

    i = σ(W_i x_t + U_i h_{t−1} + b_i)        f, o likewise
    g = tanh(W_g x_t + U_g h_{t−1} + b_g)
    c_t = f ⊙ c_{t−1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

No peepholes. The forget gate's bias starts at 1 (Jozefowicz et al. 2015, "An empirical exploration of
recurrent network architectures"), all else as in torch.

Source: S. Hochreiter & J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); forget gate:
F. Gers, J. Schmidhuber & F. Cummins, "Learning to forget", Neural Computation 12 (2000).
"""

import torch
from torch import Tensor, nn

from harness import Cell


class LSTM(Cell):
    """LSTM with forget gate, its bias starting at 1 (Hochreiter & Schmidhuber 1997; Gers 2000).

    x (B, D); state h, c (B, H) each. Rows of W (4H, D), U (4H, H), b (4H): gates i, f, g, o in torch's order.
    All weights start uniform in ±1/√H but for b_f = 1. One bias, where torch has a redundant second one.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
        nn.init.ones_(self.b[hidden_size : 2 * hidden_size])

    def initial_state(
        self, batch_size: int, *, device: torch.device, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Zero: h and c, (B, H) each."""
        zero = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return zero, zero

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., 4H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """pre (B, 4H), state h and c."""
        h, c = state
        i, f, g, o = (pre + h @ self.U.T).chunk(4, dim=-1)  # (B, H) each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)
