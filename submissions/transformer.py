"""A causal transformer of one block: no recurrence, it keeps the last `window` inputs and attends to them.

    e = W_e x_t + b_e
    q, k, v = W_q ē, W_k ē, W_v ē                  ē = layernorm(e); q, k rotated by their time
    a = softmax(q · k_s / √d) v_s                  over the times t − window < s ≤ t, in each head by itself
    e = e + W_o a
    y_t = e + W_2 gelu(W_1 layernorm(e) + b_1) + b_2

It is a reference: what a cell must compress into its state, this keeps whole. All of it is counted as state:
a ring buffer of keys and values, and the time. `layers` stacks blocks.

Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017 (arXiv 1706.03762), normalised before
each part (R. Xiong et al. 2020, arXiv 2002.04745), with rotary positions (J. Su et al. 2021, arXiv
2104.09864, section 3.2).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from harness import Cell

Memory = tuple[Tensor, Tensor, Tensor]
"""Keys and values (B, window, H), those of time s at place s mod window, and the time t (B), an integer."""


class Transformer(Cell):
    """Causal transformer: attention to the last `window` inputs, a reference (Vaswani et al. 2017).

    x (B, D); state: Memory. W_e (H, D), W_qkv (3H, H), W_o (H, H), W_1 (4H, H), W_2 (H, 4H), biases, and two
    layer norms; all start as in `nn.Linear` and `nn.LayerNorm`. A head's width d = H / heads must be even.
    Raises ValueError where it is not, and for a window below 1.
    """

    reference = True

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 4, window: int = 512) -> None:
        if hidden_size not in self.widths(hidden_size, hidden_size, heads=heads):
            raise ValueError(
                f"hidden size {hidden_size} is no multiple of {2 * heads}: heads={heads}, each even"
            )
        if window < 1:
            raise ValueError(f"window={window}: give at least 1")
        super().__init__(input_size, hidden_size)
        self.heads, self.window = heads, window
        self.embed = nn.Linear(input_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.merge = nn.Linear(hidden_size, hidden_size, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, 4 * hidden_size),
            nn.GELU(),
            nn.Linear(4 * hidden_size, hidden_size),
        )

    @classmethod
    def widths(cls, low: int, high: int, *, heads: int = 4, **options: Any) -> Iterable[int]:
        """The multiples of 2 · heads. Raises ValueError for less than one head."""
        if heads < 1:
            raise ValueError(f"heads={heads}: give at least 1")
        return range(-(-low // (2 * heads)) * 2 * heads, high + 1, 2 * heads)

    def initial_state(self, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> Memory:
        """Nothing seen yet."""
        zero = torch.zeros(batch_size, self.window, self.hidden_size, device=device, dtype=dtype)
        return zero, zero, torch.zeros(batch_size, device=device, dtype=torch.int64)

    def step(self, x: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        """x (B, D), state: Memory."""
        keys, values, t = state
        e = self.embed(x)
        q, k, v = self.qkv(self.norm(e)).chunk(3, dim=-1)  # (B, H) each
        place = torch.arange(self.window, device=x.device)
        here = (place == t[:, None] % self.window)[..., None]  # (B, window, 1)
        keys = torch.where(here, self._rotate(k, t)[:, None], keys)
        values = torch.where(here, v[:, None], values)
        seen = (place <= t[:, None])[:, None]  # (B, 1, window): all of them once the buffer is full
        a = self._attend(self._rotate(q, t)[:, None], keys, values, seen)[:, 0]
        return self._finish(e, a), (keys, values, t + 1)

    def unroll(self, x: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        """x (T, B, D), state: Memory."""
        keys, values, t = state
        e = self.embed(x.transpose(0, 1))  # (B, T, H)
        q, k, v = self.qkv(self.norm(e)).chunk(3, dim=-1)
        T, window = len(x), self.window
        now = t[:, None] + torch.arange(T, device=x.device)  # (B, T)
        q, k = self._rotate(q, now), self._rotate(k, now)
        place = torch.arange(window, device=x.device)
        before = (
            t[:, None] - 1 - (t[:, None] - 1 - place) % window
        )  # (B, window): what is kept is of this time
        keys, values = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)  # (B, window + T, H)
        times = torch.cat([before, now], dim=1)[:, None]
        skip = 0 if bool((t > 0).any()) else window  # at the start of a sequence nothing is kept yet
        age = now[..., None] - times[..., skip:]  # (B, T, window + T)
        seen = (age >= 0) & (age < window) & (times[..., skip:] >= 0)
        a = self._attend(q, keys[:, skip:], values[:, skip:], seen)
        last = now[:, -1:]
        after = last - (last - place) % window  # (B, window): the time of what is kept now
        index = torch.where(after >= t[:, None], window + after - t[:, None], place)[..., None]
        keys, values = (torch.take_along_dim(of, index, dim=1) for of in (keys, values))
        return self._finish(e, a).transpose(0, 1), (keys, values, t + T)

    def _rotate(self, x: Tensor, t: Tensor) -> Tensor:
        """x (..., H) turned by t (...): in each head the pair (j, j + d/2) by t / 10000^(2j/d)."""
        x = x.unflatten(-1, (self.heads, 2, -1))  # (..., heads, 2, d/2)
        half = x.shape[-1]
        rate = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=x.dtype) / half)
        angle = t[..., None, None] * rate  # (..., 1, d/2)
        left, right = x.unbind(-2)
        cos, sin = torch.cos(angle), torch.sin(angle)
        return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1).flatten(-2)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        """q (B, T, H), k and v (B, S, H), seen (B, T or 1, S) to (B, T, H)."""
        q, k, v = (of.unflatten(-1, (self.heads, -1)).transpose(1, 2) for of in (q, k, v))  # (B, heads, ·, d)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores.masked_fill(~seen[:, None], -torch.inf), dim=-1)
        return (weights @ v).transpose(1, 2).flatten(-2)

    def _finish(self, e: Tensor, a: Tensor) -> Tensor:
        e = e + self.merge(a)
        y: Tensor = e + self.mlp(e)
        return y
