"""The LSTM with coupled input and forget gate (CIFG): what is written replaces as much as is forgotten.

    i = σ(W_i x_t + U_i h_{t−1} + p_i ⊙ c_{t−1} + b_i)
    g = tanh(W_g x_t + U_g h_{t−1} + b_g)
    c_t = (1 − i) ⊙ c_{t−1} + i ⊙ g
    o = σ(W_o x_t + U_o h_{t−1} + p_o ⊙ c_t + b_o)
    h_t = o ⊙ tanh(c_t)

W and U are matrices, p vectors. The paper's variants are all of the LSTM with peepholes, and so is this one;
peepholes=false leaves out the terms with p, for a comparison with `lstm`.

Source: K. Greff, R. Srivastava, J. Koutník, B. Steunebrink & J. Schmidhuber, "LSTM: a search space odyssey"
2015 (arXiv 1503.04069), section III, variant CIFG: f = 1 − i. The input gate's bias starts at −1, so that the
cell forgets at first as `lstm` does.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class CoupledLSTM(Cell):
    """Coupled-gate LSTM: the forget gate is 1 − i (CIFG, Greff et al. 2015).

    x (B, D); state h, c (B, H) each. Rows of W (3H, D), U (3H, H), b (3H): i, g, o; p_i, p_o (H) only with
    peepholes. All weights start uniform in ±1/√H but for b_i = −1.
    """

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.peepholes = peepholes
        self.W = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(3 * hidden_size))
        if peepholes:
            self.p_i, self.p_o = (nn.Parameter(torch.empty(hidden_size)) for _ in range(2))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
        nn.init.constant_(self.b[:hidden_size], -1.0)

    def initial_state(
        self, batch_size: int, *, device: torch.device, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Zero: h and c, (B, H) each."""
        zero = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return zero, zero

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., 3H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """pre (B, 3H), state h and c."""
        h, c = state
        i, g, o = (pre + h @ self.U.T).chunk(3, dim=-1)  # (B, H) each
        i = torch.sigmoid(i + self.p_i * c if self.peepholes else i)
        c = (1 - i) * c + i * torch.tanh(g)
        o = torch.sigmoid(o + self.p_o * c if self.peepholes else o)
        h = o * torch.tanh(c)
        return h, (h, c)
