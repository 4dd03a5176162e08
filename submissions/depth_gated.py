"""The depth-gated LSTM: peephole LSTMs whose memory cells are joined from layer to layer by a gate.

Layer L reads x^L_t = h^{L−1}_t, the first one the input itself:

    i = σ(W_xi x^L_t + W_hi h^L_{t−1} + w_ci ⊙ c^L_{t−1} + b_i)        f likewise, with its own weights
    g = tanh(W_xc x^L_t + W_hc h^L_{t−1} + b_c)
    d = σ(W_xd x^L_t + w_cd ⊙ c^L_{t−1} + w_ld ⊙ c^{L−1}_t + b_d)      the depth gate
    c^L_t = d ⊙ c^{L−1}_t + f ⊙ c^L_{t−1} + i ⊙ g
    o = σ(W_xo x^L_t + W_ho h^L_{t−1} + w_co ⊙ c^L_t + b_o)
    h^L_t = o ⊙ tanh(c^L_t)

W are matrices, w vectors. All layers are of one width. The first has no layer below it and so no depth gate,
hence two layers at least; compare with an LSTM of as many.

Source: K. Yao, T. Cohn, K. Vylomova, K. Duh & C. Dyer, "Depth-gated LSTM" 2015 (arXiv 1508.03790). The paper
leaves the initialisation open: here it is that of the LSTM, the forget gate's bias at 1.
"""

import torch
from torch import Tensor, nn

from harness import Cell

LayerState = tuple[Tensor, Tensor]


class _Layer(nn.Module):
    """One layer. Rows of W_x (4H or 5H, D), W_h (4H, H), b (4H or 5H): i, f, g, o and, if gated, d."""

    def __init__(self, input_size: int, hidden_size: int, *, gated: bool) -> None:
        super().__init__()
        H, rows = hidden_size, (5 if gated else 4) * hidden_size
        self.W_x = nn.Parameter(torch.empty(rows, input_size))
        self.W_h = nn.Parameter(torch.empty(4 * H, H))
        self.w_ci, self.w_cf, self.w_co = (nn.Parameter(torch.empty(H)) for _ in range(3))
        if gated:
            self.w_cd, self.w_ld = (nn.Parameter(torch.empty(H)) for _ in range(2))
        self.b = nn.Parameter(torch.empty(rows))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(H**-0.5), H**-0.5)
        nn.init.ones_(self.b[H : 2 * H])

    def project(self, x: Tensor) -> Tensor:
        """W_x x + b: (..., D) to (..., 4H or 5H)."""
        return x @ self.W_x.T + self.b

    def forward(self, pre: Tensor, state: LayerState, below: Tensor | None) -> LayerState:
        """pre (B, 4H or 5H), state (h^L, c^L)_{t−1}, below c^{L−1}_t (B, H), to (h^L, c^L)_t."""
        h, c = state
        H = h.shape[-1]
        pre, d = pre.split([4 * H, pre.shape[-1] - 4 * H], dim=-1)  # (B, 4H), (B, 0 or H)
        i, f, g, o = (pre + h @ self.W_h.T).chunk(4, dim=-1)  # (B, H) each
        i = torch.sigmoid(i + self.w_ci * c)
        f = torch.sigmoid(f + self.w_cf * c)
        new = f * c + i * torch.tanh(g)
        if below is not None:
            d = torch.sigmoid(d + self.w_cd * c + self.w_ld * below)
            new = new + d * below
        o = torch.sigmoid(o + self.w_co * new)
        return o * torch.tanh(new), new


class DepthGatedLSTM(Cell):
    """Depth-gated LSTM: a gate joins the memory cells of neighbouring layers (Yao et al. 2015).

    x (B, D); state: (h, c) of each layer, (B, H) each. Raises ValueError for fewer than two layers.
    """

    def __init__(self, input_size: int, hidden_size: int, *, layers: int = 2) -> None:
        if layers < 2:
            raise ValueError(f"layers={layers}: a depth gate joins two layers, give at least 2")
        super().__init__(input_size, hidden_size)
        self.first = _Layer(input_size, hidden_size, gated=False)
        self.upper = nn.ModuleList(_Layer(hidden_size, hidden_size, gated=True) for _ in range(layers - 1))

    def initial_state(
        self, batch_size: int, *, device: torch.device, dtype: torch.dtype
    ) -> tuple[LayerState, ...]:
        """Zero: h and c of each layer, (B, H) each."""
        zero = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return ((zero, zero),) * (1 + len(self.upper))

    def project(self, x: Tensor) -> Tensor:
        """The first layer's W_x x + b: (..., D) to (..., 4H)."""
        return self.first.project(x)

    def recur(self, pre: Tensor, state: tuple[LayerState, ...]) -> tuple[Tensor, tuple[LayerState, ...]]:
        """pre (B, 4H), state (h, c) of each layer."""
        h, c = self.first(pre, state[0], None)
        after = [(h, c)]
        for layer, before in zip(self.upper, state[1:], strict=True):
            assert isinstance(layer, _Layer)
            h, c = layer(layer.project(h), before, c)
            after.append((h, c))
        return h, tuple(after)
