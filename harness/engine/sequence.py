"""A population's step run along a sequence, and its gradient back along it.

Letters: P members, T time, B batch, F features of what a step reads, H output features, Q queries.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.engine.step import Step

CHUNK = 8
"""Steps whose inputs are gathered at once."""


class Run(torch.autograd.Function):
    """All steps: `Run.apply(step, queries, memory, source, index, n, *parameters, *state)` to outputs (Q, P,
    B, H).

    source, index: what step t reads is `source[index[t]]`, rows (N, F) at index (T, P, B); or `source[t]`,
        (T, P, B, F), with index None
    memory: the most bytes of residuals to keep; what is over is computed again on the way back
    n: the number of parameters
    """

    @staticmethod
    def forward(
        ctx: Any,
        step: Step,
        queries: Sequence[int],
        memory: int,
        source: Tensor,
        index: Tensor | None,
        n: int,
        *flat: Tensor,
    ) -> Tensor:
        """Run the steps; keep what the way back needs."""
        parameters, state = flat[:n], list(flat[n:])
        length = len(source if index is None else index)
        steps_kept = max(CHUNK, int(memory / max(1, step.floats * source.element_size())))
        bounds = [0, *reversed(range(length, 0, -min(steps_kept, length)))]  # the last are kept: no fewer
        ctx.step, ctx.queries, ctx.segments = step, list(queries), list(pairwise(bounds))
        asked, starts = set(queries), []
        outputs: list[Tensor] = []
        kept: list[tuple[Tensor, ...]] = []
        for first, last in ctx.segments:
            starts.append(state)
            kept = []
            state = _ahead(step, parameters, source, index, first, last, state, kept, asked, outputs)
        ctx.kept = kept  # of the last segment; the ones before are computed again
        ctx.starts = starts
        ctx.save_for_backward(source, index, *parameters)
        return torch.stack(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Run back along them."""
        step: Step = ctx.step
        source, index, *parameters = ctx.saved_tensors
        g_outputs = gradients[0].contiguous()
        g_at = dict(zip(ctx.queries, g_outputs.unbind(), strict=True))
        zero = torch.zeros_like(g_outputs[0])
        g_parameters: list[Tensor] = []
        g_source = torch.zeros_like(source) if index is not None else torch.empty_like(source)
        floats = [s for s, d in zip(ctx.starts[0], step.differentiable, strict=True) if d]
        g_state: list[Tensor] = [torch.zeros_like(s) for s in floats]
        n = len(parameters)
        kept = ctx.kept
        for (first, last), start in zip(reversed(ctx.segments), reversed(ctx.starts), strict=True):
            if kept is None:
                kept = []
                _ahead(step, parameters, source, index, first, last, start, kept, set(), [])
            for t in reversed(range(first, last)):
                found = step.backward(*parameters, *kept.pop(), g_at.get(t, zero), *g_state)
                if g_parameters:
                    torch._foreach_add_(g_parameters, list(found[:n]))
                else:  # of the strides that the step gives: adding others takes several times as long
                    g_parameters = [g.clone() for g in found[:n]]
                if index is None:
                    g_source[t] = found[n]
                else:
                    g_source.index_add_(0, index[t].flatten(), found[n].flatten(0, -2))
                g_state = list(found[n + 1 :])
            kept = None
        g_initial = iter(g_state)
        g_start = [next(g_initial) if d else None for d in step.differentiable]
        return None, None, None, g_source, None, None, *g_parameters, *g_start


def _ahead(
    step: Step,
    parameters: Sequence[Tensor],
    source: Tensor,
    index: Tensor | None,
    first: int,
    last: int,
    state: list[Tensor],
    kept: list[tuple[Tensor, ...]],
    asked: set[int],
    outputs: list[Tensor],
) -> list[Tensor]:
    """Steps first … last − 1 from a state to the next; what the way back needs of each is added to `kept`."""
    size = len(state)
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        x = source[start:stop] if index is None else F.embedding(index[start:stop], source)
        for t, x_t in enumerate(x.unbind(), start):
            made = step.forward(*parameters, x_t, *state)
            kept.append((*((x_t,) if step.keeps_x else ()), *state, *made[1 + size :]))
            state = list(made[1 : 1 + size])
            if t in asked:
                outputs.append(made[0])
    return state
