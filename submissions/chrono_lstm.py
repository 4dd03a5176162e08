"""The chrono-initialised LSTM: gates that start out with memories of every length up to a longest one.

    b_f ~ log U[1, t_max − 1]        b_i = −b_f

The equations are those of `lstm`. A unit whose forget gate stays at σ(b_f) loses a memory in about
1 + exp(b_f) steps: at the start these times are spread evenly up to t_max, the longest dependency expected.

Source: C. Tallec & Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018 (arXiv 1804.11188),
equation 16.
"""

import torch

from .lstm import LSTM


class ChronoLSTM(LSTM):
    """LSTM whose forget gates start with memories of up to t_max steps (Tallec & Ollivier 2018).

    x (B, D); state h, c (B, H) each; weights as in `lstm`, but for b_f and b_i = −b_f. t_max: steps; the
    default is four times the longest gap of `quick`. Raises ValueError for t_max below 2.
    """

    def __init__(self, input_size: int, hidden_size: int, *, t_max: int = 256) -> None:
        if t_max < 2:
            raise ValueError(f"t_max={t_max}: give at least 2 steps")
        super().__init__(input_size, hidden_size)
        with torch.no_grad():
            b_i, b_f, _, _ = self.b.chunk(4)
            b_f.uniform_(1, t_max - 1).log_()
            b_i.copy_(-b_f)
