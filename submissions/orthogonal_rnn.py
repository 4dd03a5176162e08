"""The orthogonal RNN: its recurrent matrix is orthogonal, and stays so however it is trained.

    h_t = φ(W x_t + U h_{t−1} + b)        φ(a) = max(a, a/10)
    U = H_1 H_2 … H_m                     H_k = I − 2 v_k v_kᵀ / ‖v_k‖²

U is a product of m Householder reflections; the first k − 1 entries of v_k are zero. With m = H any
orthogonal matrix of determinant (−1)^H is such a product; fewer reflections are quicker and leave more of a
budget to units. The product is applied at once (T. Joffrain et al. 2006, "Accumulating Householder
transformations, revisited"): with the rows v_k in V, U = I − Vᵀ S⁻¹ V, where S is triangular, the part of V
Vᵀ above the diagonal and half of the diagonal.

Source: Z. Mhammedi, A. Hellicar, A. Rahman & J. Bailey, "Efficient orthogonal parametrisation of recurrent
neural networks using Householder reflections", ICML 2017 (arXiv 1612.00188): oRNN.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import Cell


class OrthogonalRNN(Cell):
    """Orthogonal RNN: the recurrent matrix is a product of reflections (oRNN, Mhammedi et al. 2017).

    x (B, D); state h (B, H); W (H, D) and b (H) start uniform in ±1/√H; V (m, H) starts normal, entries (k,
    i) with i < k are masked; m is `reflections`, but H at most. Raises ValueError for less than one.
    """

    mask: Tensor

    def __init__(self, input_size: int, hidden_size: int, *, reflections: int = 16) -> None:
        if reflections < 1:
            raise ValueError(f"reflections={reflections}: give at least 1")
        super().__init__(input_size, hidden_size)
        bound = hidden_size**-0.5
        self.W = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.empty(hidden_size).uniform_(-bound, bound))
        self.V = nn.Parameter(torch.randn(min(reflections, hidden_size), hidden_size))
        self.register_buffer("mask", torch.ones_like(self.V, dtype=torch.bool).triu(), persistent=False)

    def parameter_masks(self) -> Mapping[str, Tensor]:
        """Of row k the entries before the k-th are zero."""
        return {"V": self.mask}

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zero: (B, H)."""
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """W x + b: (..., D) to (..., H)."""
        return x @ self.W.T + self.b

    def recur(self, pre: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """pre (B, H), state h (B, H)."""
        h = state
        V = self.V * self.mask
        products = V @ V.T  # (m, m)
        S = products.triu(1) + torch.diag_embed(products.diagonal() / 2)
        h = h - torch.linalg.solve_triangular(S, V @ h.T, upper=True).T @ V  # U h
        h = F.leaky_relu(pre + h, 0.1)
        return h, h
