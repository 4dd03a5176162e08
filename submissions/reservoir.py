"""A reservoir: a recurrent network whose weights stay as they were drawn.

    h_t = tanh(W_in x_t + W h_{t−1})

W_in and W do not train. What trains belongs to the harness and is the same for every cell: the encoder, which
gives x, and the linear readout of h. So it is a reference: what it remembers, a cell need not have learned.

W is drawn at random and scaled to a spectral radius below 1, so that what came long ago fades away (the echo
state property).

Source: H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural networks", GMD report
148, 2001, section 3; without its feedback from the outputs, and with a dense W.
"""

import torch
from torch import Tensor, nn

from harness import Cell


class Reservoir(Cell):
    """Reservoir: an RNN that does not train, a reference (Jaeger 2001).

    x (B, D); state h (B, H); W_in (H, D), uniform in ±1/√D; W (H, H), uniform, then scaled to the spectral
    radius. Neither has a gradient. Raises ValueError for a radius that is not above 0.
    """

    reference = True

    def __init__(self, input_size: int, hidden_size: int, *, spectral_radius: float = 0.9) -> None:
        if not spectral_radius > 0:
            raise ValueError(f"spectral_radius={spectral_radius}: must be above 0")
        super().__init__(input_size, hidden_size)
        W_in = torch.empty(hidden_size, input_size).uniform_(-(input_size**-0.5), input_size**-0.5)
        W = torch.empty(hidden_size, hidden_size).uniform_(-1, 1)
        W *= spectral_radius / torch.linalg.eigvals(W).abs().max()
        self.W_in = nn.Parameter(W_in, requires_grad=False)
        self.W = nn.Parameter(W, requires_grad=False)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W_in x: (..., D) to (..., H)."""
        return x @ self.W_in.T

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, H), state h (B, H)."""
        h = torch.tanh(pre + state @ self.W.T)
        return h, h
