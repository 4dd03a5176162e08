"""The IndRNN: rectified linear units that each hear only themselves, and so are independent of one another.

    h_t = relu(W x_t + u ⊙ h_{t−1} + b)        |u| ≤ 2^(1/t_max)

What a unit holds is multiplied by u at every step: after t_max steps at the bound it is twice what it was.
Units mix in the readout and, with `layers`, from layer to layer.

Source: S. Li, W. Li, C. Cook, C. Zhu & Y. Gao, "Independently recurrent neural network (IndRNN)", CVPR 2018
(arXiv 1803.04831). The bound, and the start of u between 2^(−1/t_max) and it, are those of its last layer,
which is to keep what it has for t_max steps. The paper clips u after every update, so that one that went
beyond the bound stands at it and is free to come back. A cell does not see updates: here u is reflected at
the bound at every use, and so has a gradient wherever it is. The paper leaves W open: here it starts as that
of `rnn`, and b at 0.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class IndRNN(Cell):
    """IndRNN: every unit has one recurrent weight, to itself (Li et al. 2018).

    x (B, D); state h (B, H); W (H, D), u (H), b (H). t_max: steps; the default is four times the longest gap
    of `quick`. Raises ValueError for t_max below 1.
    """

    def __init__(self, input_size: int, hidden_size: int, *, t_max: int = 256) -> None:
        if t_max < 1:
            raise ValueError(f"t_max={t_max}: give at least 1 step")
        super().__init__(input_size, hidden_size)
        self.bound = 2 ** (1 / t_max)
        self.W = nn.Parameter(torch.empty(hidden_size, input_size))
        nn.init.uniform_(self.W, -(hidden_size**-0.5), hidden_size**-0.5)
        self.u = nn.Parameter(torch.empty(hidden_size).uniform_(1 / self.bound, self.bound))
        self.b = nn.Parameter(torch.zeros(hidden_size))

    def bounded(self, u: Tensor) -> Tensor:
        """u, reflected at ±bound as often as it takes: (H)."""
        return self.bound - (torch.remainder(u + self.bound, 4 * self.bound) - 2 * self.bound).abs()

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, H), state h (B, H)."""
        h = torch.relu(pre + self.bounded(self.u) * state)
        return h, h
