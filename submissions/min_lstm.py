"""The minimal LSTM: no gate and no candidate depends on the state, so that all steps are computed at once.

    f = σ(W_f x_t + b_f)        i likewise
    n = g(W_n x_t + b_n)        g(a) = a + ½ for a ≥ 0, else σ(a)
    h_t = f/(f + i) ⊙ h_{t−1} + i/(f + i) ⊙ n

The two gates are divided by their sum, so that the state's size does not depend on the sequence's length.
There is no output gate, and the memory cell is the output.

Source: L. Feng, F. Tung, M. Ahmed, Y. Bengio & H. Hajimirsadeghi, "Were RNNs all we needed?" 2024 (arXiv
2410.01201), section 3.2; the positive candidate g is the one of its appendix B, which the paper trains with.
There it is for a scan in log space; the scan here needs no logarithms, and the state may start at zero.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import Cell

from ._scan import linear_scan


class MinLSTM(Cell):
    """Minimal LSTM: gates and candidate from the input alone, all steps at once (Feng et al. 2024).

    x (B, D); state h (B, H). Rows of W (3H, D), b (3H): f, i, n, starting as in `nn.Linear`.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.b = nn.Parameter(torch.empty(3 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(input_size**-0.5), input_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """What is kept of the state and what is added: (..., D) to (..., 2H)."""
        f, i, n = (x @ self.W.T + self.b).chunk(3, dim=-1)  # (..., H) each
        n = torch.where(n >= 0, n + 0.5, torch.sigmoid(n))
        ratio = F.logsigmoid(f) - F.logsigmoid(i)  # f/(f + i) = σ(log f − log i), also where both underflow
        return torch.cat([torch.sigmoid(ratio), torch.sigmoid(-ratio) * n], dim=-1)

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, 2H), state h (B, H)."""
        kept, added = pre.chunk(2, dim=-1)
        h = kept * state + added
        return h, h

    def unroll(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, B, D), state h (B, H)."""
        kept, added = self.project(x).chunk(2, dim=-1)
        h = linear_scan(kept, added, state)  # (T, B, H)
        return h, h[-1]
