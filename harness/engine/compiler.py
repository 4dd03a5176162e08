"""Making a step quicker to run: compiled where that pays, and recorded as CUDA graphs on a GPU."""

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

OPTIONS = {"size_asserts": False, "cpp.use_decompose_tanh": True}
"""tanh x as 2 σ(2x) − 1, which rounds at 1 and not at x, takes a third of the time."""

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


def recorded(step: Step) -> Step:
    """On a GPU, the step as two CUDA graphs: each is one launch, whatever the length of the sequence."""
    return replace(step, forward=_record(step.forward), backward=_record(step.backward))


def pays(step: Step, eager_seconds: float) -> bool:
    """Whether to compile a step when so much eager work with it is ahead."""
    marker = _marker(step)
    cost = 0.0 if marker in _done else WARM_SECONDS if marker.exists() else COLD_SECONDS
    return eager_seconds * GAIN > cost


def _compile(graph: Graph) -> Graph:
    from torch._inductor import compile as inductor

    assert isinstance(graph, fx.GraphModule)
    examples = _examples(graph)
    with torch.no_grad():
        run: Graph = inductor(graph, list(examples), options=OPTIONS)
    return _record(run, examples) if examples[0].is_cuda else run


@torch.no_grad()
def _record(run: Graph, examples: list[Tensor] | None = None) -> Graph:
    """What runs, as a CUDA graph with inputs and outputs of its own."""
    if examples is None:
        assert isinstance(run, fx.GraphModule)
        examples = _examples(run)
    inputs = examples
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(
        graph, capture_error_mode="thread_local"
    ):  # data may be pinned in a thread meanwhile
        outputs = list(run(*inputs))

    def replay(*arguments: Tensor) -> list[Tensor]:
        torch._foreach_copy_(inputs, list(arguments))
        graph.replay()
        fresh = [torch.empty_like(output) for output in outputs]
        torch._foreach_copy_(fresh, outputs)
        return fresh

    return replay


def _inputs(graph: fx.GraphModule) -> list[Tensor]:
    """What the inputs looked like when the graph was traced."""
    return [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]


def _examples(graph: fx.GraphModule) -> list[Tensor]:
    return [
        torch.zeros_like(torch.empty_strided(v.shape, v.stride(), dtype=v.dtype, device=v.device))
        for v in _inputs(graph)
    ]


def _marker(step: Step) -> Path:
    """The file that says that a step like this was compiled here before."""
    whole: list[object] = [torch.__version__]
    for graph in (step.forward, step.backward):
        assert isinstance(graph, fx.GraphModule)
        whole += [graph.code, [str(v) for v in _inputs(graph)], [c.tolist() for c in graph.buffers()]]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "recurrent-harness", hashlib.sha256(repr(whole).encode()).hexdigest()[:24])
