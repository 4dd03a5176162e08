"""The LSTM with peepholes: gates that also see the memory cell, each unit its own.

    i = σ(W_i x_t + U_i h_{t−1} + p_i ⊙ c_{t−1} + b_i)        f likewise
    g = tanh(W_g x_t + U_g h_{t−1} + b_g)
    c_t = f ⊙ c_{t−1} + i ⊙ g
    o = σ(W_o x_t + U_o h_{t−1} + p_o ⊙ c_t + b_o)
    h_t = o ⊙ tanh(c_t)

W and U are matrices, p vectors. The output gate sees the new memory cell, the other two the old one.

Source: F. Gers & J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000, with tanh for its scaled
sigmoids: the "vanilla LSTM" of K. Greff et al. 2015 (arXiv 1503.04069), section II. The forget gate's bias
starts at 1, as that of `lstm`.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class PeepholeLSTM(Cell):
    """Peephole LSTM: the gates see the memory cell (Gers & Schmidhuber 2000).

    x (B, D); state h, c (B, H) each. Rows of W (4H, D), U (4H, H), b (4H): i, f, g, o; p_i, p_f, p_o (H). All
    weights start uniform in ±1/√H but for b_f = 1.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.empty(hidden_size)) for _ in range(3))
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
        i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + self.p_o * c) * torch.tanh(c)
        return h, (h, c)
