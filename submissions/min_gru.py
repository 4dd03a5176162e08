"""The minimal GRU: no gate and no candidate depends on the state, so that all steps are computed at once.

    z = σ(W_z x_t + b_z)
    n = g(W_n x_t + b_n)        g(a) = a + ½ for a ≥ 0, else σ(a)
    h_t = (1 − z) ⊙ h_{t−1} + z ⊙ n

Stacked by `layers`, as in the paper, an upper layer's gates see the past through the layer below.

Source: L. Feng, F. Tung, M. Ahmed, Y. Bengio & H. Hajimirsadeghi, "Were RNNs all we needed?" 2024 (arXiv
2410.01201), section 3.1; the positive candidate g is the one of its appendix B, which the paper trains with.
There it is for a scan in log space; the scan here needs no logarithms, and the state may start at zero.
"""

import torch
from torch import Tensor, nn

from harness import Cell

from ._scan import linear_scan


class MinGRU(Cell):
    """Minimal GRU: gates and candidate from the input alone, all steps at once (Feng et al. 2024).

    x (B, D); state h (B, H). Rows of W (2H, D), b (2H): z, n, starting as in `nn.Linear`.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.b = nn.Parameter(torch.empty(2 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(input_size**-0.5), input_size**-0.5)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """What is kept of the state and what is added, 1 − z and z n: (..., D) to (..., 2H)."""
        z, n = (x @ self.W.T + self.b).chunk(2, dim=-1)  # (..., H) each
        n = torch.where(n >= 0, n + 0.5, torch.sigmoid(n))
        return torch.cat([torch.sigmoid(-z), torch.sigmoid(z) * n], dim=-1)

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
