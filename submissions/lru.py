"""The linear recurrent unit: a diagonal complex recurrence without a nonlinearity, and a gate after it.

    s_t = λ ⊙ s_{t−1} + γ ⊙ (B x_t)        λ = exp(−exp ν + i exp θ), γ = √(1 − |λ|²) at the start
    u = gelu(Re(C s_t) + D x_t)
    y_t = (W_1 u + b_1) ⊙ σ(W_2 u + b_2)

s, B and C are complex, held as pairs of reals. |λ| < 1 whatever ν is. The last line is the gated linear unit
of the paper's residual block, which is what makes the whole nonlinear; its normalisation and its skip
connection belong to deep stacks and are left out, D taking the latter's place.

Source: A. Orvieto, S. Smith, A. Gu, A. Fernando, C. Gulcehre, R. Pascanu & S. De, "Resurrecting recurrent
neural networks for long sequences", ICML 2023 (arXiv 2303.06349), section 3 and appendix A.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import Cell

Complex = tuple[Tensor, Tensor]
"""Real and imaginary part."""


class LRU(Cell):
    """Linear recurrent unit: a diagonal complex linear recurrence, gated after it (Orvieto et al. 2023).

    x (B, D); state s, its real and imaginary part (B, H) each; nu, theta, gamma (H), B_re, B_im (H, D), C_re,
    C_im (H, H), D (H, D), W (2H, H) with rows W_1, W_2, b (2H). λ starts uniform on the ring r_min ≤ |λ| ≤
    r_max within angles below max_phase. Raises ValueError unless 0 ≤ r_min < r_max ≤ 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        r_min: float = 0.9,
        r_max: float = 0.999,
        max_phase: float = 6.28,
    ) -> None:
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(f"r_min={r_min}, r_max={r_max}: give 0 ≤ r_min < r_max ≤ 1")
        super().__init__(input_size, hidden_size)
        D, H = input_size, hidden_size
        square = torch.empty(H).uniform_(r_min**2, r_max**2)  # |λ|²
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(square)))
        self.theta = nn.Parameter(torch.log(max_phase * (1 - torch.rand(H))))
        self.gamma = nn.Parameter(0.5 * torch.log1p(-square))  # the logarithm of γ
        self.B_re, self.B_im = (nn.Parameter(torch.randn(H, D) / (2 * D) ** 0.5) for _ in range(2))
        self.C_re, self.C_im = (nn.Parameter(torch.randn(H, H) / H**0.5) for _ in range(2))
        self.D = nn.Parameter(torch.randn(H, D) / D**0.5)
        self.W = nn.Parameter(torch.empty(2 * H, H).uniform_(-(H**-0.5), H**-0.5))
        self.b = nn.Parameter(torch.empty(2 * H).uniform_(-(H**-0.5), H**-0.5))

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Complex:
        """Zero: real and imaginary part, (B, H) each."""
        zero = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return zero, zero

    def project(self, x: Tensor) -> Tensor:
        """γ B x, its real and imaginary part, and D x: (..., D) to (..., 3H)."""
        gamma = torch.exp(self.gamma)
        return torch.cat([gamma * (x @ self.B_re.T), gamma * (x @ self.B_im.T), x @ self.D.T], dim=-1)

    def recur(self, pre: Tensor, state: Complex) -> tuple[Tensor, Complex]:
        """pre (B, 3H), state s."""
        re, im, skip = pre.chunk(3, dim=-1)  # (B, H) each
        state = _multiply_add(self._eigenvalues(), state, (re, im))
        return self._gated(state, skip), state

    def unroll(self, x: Tensor, state: Complex) -> tuple[Tensor, Complex]:
        """x (T, B, D), state s. By doubling: after n passes s_t is what the last 2ⁿ steps have brought in."""
        re, im, skip = self.project(x).chunk(3, dim=-1)  # (T, B, H) each
        power, shift, T = self._eigenvalues(), 1, len(x)
        first = _multiply_add(power, state, (re[0], im[0]))
        re, im = (torch.cat([f[None], rest[1:]]) for f, rest in zip(first, (re, im), strict=True))
        while shift < T:
            earlier, later = (re[:-shift], im[:-shift]), (re[shift:], im[shift:])
            new = _multiply_add(power, earlier, later)
            re, im = (torch.cat([old[:shift], n]) for old, n in zip((re, im), new, strict=True))
            power = _multiply_add(power, power, (torch.zeros_like(power[0]), torch.zeros_like(power[1])))
            shift *= 2
        return self._gated((re, im), skip), (re[-1], im[-1])

    def _eigenvalues(self) -> Complex:
        size, angle = torch.exp(-torch.exp(self.nu)), torch.exp(self.theta)
        return size * torch.cos(angle), size * torch.sin(angle)

    def _gated(self, state: Complex, skip: Tensor) -> Tensor:
        re, im = state
        u = F.gelu(re @ self.C_re.T - im @ self.C_im.T + skip)
        value, gate = (u @ self.W.T + self.b).chunk(2, dim=-1)
        return value * torch.sigmoid(gate)


def _multiply_add(a: Complex, b: Complex, c: Complex) -> Complex:
    """a b + c."""
    return a[0] * b[0] - a[1] * b[1] + c[0], a[0] * b[1] + a[1] * b[0] + c[1]
