"""Compiling a step, where it pays."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, fx

from harness.engine.step import Graph, Step

COLD_SECONDS = 25.0
"""What compiling a step costs where it was never done, on two cores."""
WARM_SECONDS = 5.0
"""What it costs with the code on disk: importing the compiler, for the most part."""
GAIN = 0.5
"""The part of the eager time that a compiled step saves, at least."""


_done: dict[Path, tuple[Graph, Graph]] = {}
"""What this process has compiled."""


def compiled(step: Step) -> Step:
    """The step with both graphs compiled. Raises what the compiler raises."""
    marker = _marker(step)
    if marker not in _done:
        _done[marker] = (_compile(step.forward), _compile(step.backward))
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    forward, backward = _done[marker]
    return replace(step, forward=forward, backward=backward)


def pays(step: Step, eager_seconds: float) -> bool:
    """Whether to compile a step when so much eager work with it is ahead."""
    marker = _marker(step)
    cost = 0.0 if marker in _done else WARM_SECONDS if marker.exists() else COLD_SECONDS
    return eager_seconds * GAIN > cost


def _compile(graph: Graph) -> Graph:
    from torch._inductor import compile as inductor

    assert isinstance(graph, fx.GraphModule)
    with torch.no_grad():
        run: Graph = inductor(graph, [_example(node) for node in _inputs(graph)])
    return run


def _inputs(graph: fx.GraphModule) -> list[fx.Node]:
    return [node for node in graph.graph.nodes if node.op == "placeholder"]


def _example(node: fx.Node) -> Tensor:
    like = node.meta["val"]
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=like.device)


def _marker(step: Step) -> Path:
    """The file that says that a step like this was compiled here before."""
    graphs = [g for g in (step.forward, step.backward) if isinstance(g, fx.GraphModule)]
    text = repr((torch.__version__, [([str(n.meta["val"]) for n in _inputs(g)], g.code) for g in graphs]))
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "recurrent-harness", hashlib.sha256(text.encode()).hexdigest()[:24])
