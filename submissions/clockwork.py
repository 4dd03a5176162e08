"""The Clockwork RNN: modules of units that tick at periods of their own, slow ones feeding fast ones.

g modules of k units each, module i of period T_i = 2^i, i = 0 … g − 1:

    a(t) = W_I x(t) + W_H y(t−1) + b
    y_i(t) = tanh(a_i(t)) if t mod T_i = 0, else y_i(t−1)

Block (i, j) of W_H, which leads from module j to module i, is zero for j < i: a module hears itself and the
slower ones only. Units are ordered from the fastest module to the slowest, unit u being of module ⌊u/k⌋. In
column convention, as stored here and as in torch, W_H is block-upper-triangular. t counts from 0, at which
every module ticks.

Source: J. Koutník, K. Greff, F. Gomez & J. Schmidhuber, "A Clockwork RNN", ICML 2014 (arXiv 1402.3511),
section 3. With the bias and the initialisation of the vanilla RNN, to be compared with it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness import Cell

ClockState = tuple[Tensor, Tensor]


class ClockworkRNN(Cell):
    """Clockwork RNN: modules that update every 1, 2, 4, … steps (Koutník et al. 2014).

    x (B, D); state y (B, H) and the time t (B), an integer; W_I (H, D), W_H (H, H) of which the blocks below
    the diagonal are masked, b (H). All weights start uniform in ±1/√H.

    Raises ValueError when the width is no multiple of the number of modules, or these are none or too many.
    """

    mask: Tensor
    periods: Tensor

    def __init__(self, input_size: int, hidden_size: int, *, modules: int = 8) -> None:
        if hidden_size not in self.widths(hidden_size, hidden_size, modules=modules):
            raise ValueError(f"hidden size {hidden_size} is no multiple of modules={modules}")
        super().__init__(input_size, hidden_size)
        self.W_I = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W_H = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
        module = torch.arange(hidden_size) // (hidden_size // modules)  # of each unit: (H)
        self.register_buffer("periods", 2**module, persistent=False)
        self.register_buffer("mask", module[None, :] >= module[:, None], persistent=False)

    @classmethod
    def widths(cls, low: int, high: int, *, modules: int = 8, **options: Any) -> Iterable[int]:
        """The multiples of the number of modules. Raises ValueError unless there are 1 to 63 of these."""
        if not 1 <= modules <= 63:  # 2⁶² is the largest power of two in the integers of torch
            raise ValueError(f"modules={modules}: give 1 to 63")
        return range(-(-low // modules) * modules, high + 1, modules)

    def parameter_masks(self) -> Mapping[str, Tensor]:
        """The blocks of W_H that lead from a faster module to a slower one are zero."""
        return {"W_H": self.mask}

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> ClockState:
        """Zero: y (B, H) and t (B)."""
        y = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return y, torch.zeros(batch_size, device=device, dtype=torch.int64)

    def project(self, x: Tensor) -> Tensor:
        """W_I x + b: (..., D) to (..., H)."""
        return x @ self.W_I.T + self.b

    def recur(self, pre: Tensor, state: ClockState) -> tuple[Tensor, ClockState]:
        """pre (B, H), state y and t."""
        y, t = state
        ticks = t[:, None] % self.periods == 0  # (B, H)
        y = torch.where(ticks, torch.tanh(pre + y @ (self.W_H * self.mask).T), y)
        return y, (y, t + 1)
