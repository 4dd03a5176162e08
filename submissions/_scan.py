"""The parallel scan of a linear recurrence, for the cells that are one."""

import torch
from torch import Tensor


def linear_scan(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """h_t = a_t ⊙ h_{t−1} + b_t for all t at once: a, b (T, B, H) and h_0 (B, H) to (T, B, H).

    By doubling (W. Hillis & G. Steele 1986): after n passes, b_t is what the last 2ⁿ steps have brought in
    and a_t what they have left of the state before them; log₂ T passes take in all.
    """
    shift, T = 1, len(a)
    while shift < T:
        b = torch.cat([b[:shift], b[shift:] + a[shift:] * b[:-shift]])
        a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
        shift *= 2
    return b + a * h
