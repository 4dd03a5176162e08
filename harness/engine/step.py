"""One step of a whole population as two graphs of tensor operations, forward and backward.

The cell's step is vmapped over the members, differentiated, and traced once. What comes out is independent of
the length of a sequence: it is run step after step as it is, or compiled first.

Letters: P members, B batch, F features of what a step reads, H output features.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx
from torch.func import functionalize, vjp
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from harness.cell import State

aten = torch.ops.aten
VIEWS = {
    aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.permute.default, aten.t.default,
    aten.transpose.int, aten.slice.Tensor, aten.select.int, aten.split.Tensor, aten.split_with_sizes.default,
    aten.squeeze.dim, aten.unsqueeze.default, aten.detach.default, operator.getitem,
}  # fmt: skip
CHEAP = {
    aten.add.Tensor, aten.sub.Tensor, aten.rsub.Scalar, aten.mul.Tensor, aten.neg.default, aten.add.Scalar,
    aten.mul.Scalar, aten.eq.Scalar, aten.eq.Tensor, aten.remainder.Scalar, aten.remainder.Tensor,
    aten.where.self, aten.logical_not.default,
}  # fmt: skip

Advance = Callable[[dict[str, Tensor], Tensor, State], tuple[Tensor, State]]
"""A step of all members: parameters (P, …), x (P, B, F) and state to y (P, B, H) and the next state."""


Graph = Callable[..., Sequence[Tensor]]
"""Tensors to tensors: an `fx.GraphModule` as traced, or what it was compiled to."""


@dataclass(frozen=True)
class Step:
    """A traced step. `forward` and `backward` take tensors one by one and give them in a sequence.

    forward: parameters, x (P, B, F), state → y (P, B, H), next state, residuals
    backward: parameters, x if it `keeps_x`, state, residuals, gradients of y and of the next state →
        gradients of the parameters, of x, of the state
    Only the leaves of the state that are of floating point, marked in `differentiable`, have gradients.
    """

    forward: Graph
    backward: Graph
    names: list[str]
    """The parameters that the step uses, in order."""
    keeps_x: bool
    """Whether the backward pass reads x."""
    differentiable: list[bool]
    state_spec: TreeSpec
    device: torch.device
    floats: int
    """Numbers that the backward pass needs of each step."""


def trace(advance: Advance, parameters: dict[str, Tensor], x: Tensor, state: State) -> Step:
    """Trace the step of members whose parameters (P, …), x (P, B, F) and state (P, B, …) look like these.

    Raises whatever the step raises when it cannot be vmapped or traced.
    """
    leaves, spec = tree_flatten(state)
    differentiable = [leaf.is_floating_point() for leaf in leaves]
    names = list(parameters)
    n, m = len(names), len(leaves)

    def step(values: Sequence[Tensor], x: Tensor, flat: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, after = advance(dict(zip(names, values, strict=True)), x, tree_unflatten(list(flat), spec))
        flat_after, spec_after = tree_flatten(after)
        if spec_after != spec:
            raise TypeError(f"the state changes its structure in a step, from {spec} to {spec_after}")
        return y.contiguous(), [leaf.contiguous() for leaf in flat_after]

    def joint(*flat: Tensor) -> list[Tensor]:
        values, x, before = flat[:n], flat[n], flat[n + 1 : n + 1 + m]
        g_y, *g_after = flat[n + 1 + m :]

        def smooth(
            values: Sequence[Tensor], x: Tensor, floats: Sequence[Tensor]
        ) -> tuple[tuple[Tensor, ...], list[Tensor]]:
            rest = iter(floats)
            y, after = step(
                values, x, [next(rest) if d else b for d, b in zip(differentiable, before, strict=True)]
            )
            return (y, *(a for a, d in zip(after, differentiable, strict=True) if d)), [y, *after]

        floats = [b for b, d in zip(before, differentiable, strict=True) if d]
        _, pull, outputs = vjp(smooth, values, x, floats, has_aux=True)  # type: ignore[misc]
        g_values, g_x, g_before = pull((g_y, *g_after))
        return [*outputs, *g_values, g_x, *(g.contiguous() for g in g_before)]

    with torch.no_grad():
        y, _ = step(list(parameters.values()), x, leaves)
    tangents = [
        torch.zeros_like(y),
        *(torch.zeros_like(leaf) for leaf, d in zip(leaves, differentiable, strict=True) if d),
    ]
    primals = [
        *(p.detach().clone() for p in parameters.values()),
        x.detach().clone(),
        *(leaf.clone() for leaf in leaves),
    ]
    graph = make_fx(functionalize(joint, remove="mutations"))(*primals, *tangents)
    return _split(graph, names, n + 1 + m, 1 + m, differentiable, spec)


def _split(
    joint: fx.GraphModule,
    names: list[str],
    primals: int,
    outputs: int,
    differentiable: list[bool],
    spec: TreeSpec,
) -> Step:
    """The joint graph in two: what does not depend on a gradient, and the rest."""
    graph = joint.graph
    graph.eliminate_dead_code()
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    (results,) = next(node for node in graph.nodes if node.op == "output").args
    assert isinstance(results, list | tuple)
    ahead, back = list(results[:outputs]), list(results[outputs:])

    needs_gradient = set(inputs[primals:])
    for node in graph.nodes:
        if node.op == "call_function" and needs_gradient.intersection(node.all_input_nodes):
            needs_gradient.add(node)

    zero = aten.zeros_like.default  # the gradient of what the step does not use
    unused = [i for i in range(len(names)) if all(user.target is zero for user in inputs[i].users)]
    kept = [i for i in range(len(names)) if i not in unused]
    given = [node for i, node in enumerate(inputs[:primals]) if i not in unused]
    back = [result for i, result in enumerate(back) if i not in unused]

    x = inputs[len(names)]
    residuals = _residuals(graph, set(given) - {x}, needs_gradient, back)
    keeps_x = x in _needed([*given, *residuals, *inputs[primals:]], back)
    remembered = [node for node in given if node is not x or keeps_x]
    size = sum(_numel(node) for node in [*residuals, *remembered[len(kept) :]])
    return Step(
        forward=extract(joint, given, [*ahead, *residuals]),
        backward=extract(joint, [*remembered, *residuals, *inputs[primals:]], back),
        names=[names[i] for i in kept],
        keeps_x=keeps_x,
        differentiable=differentiable,
        state_spec=spec,
        device=inputs[0].meta["val"].device,
        floats=size,
    )


def _residuals(
    graph: fx.Graph, given: set[fx.Node], needs_gradient: set[fx.Node], back: Sequence[fx.Node]
) -> list[fx.Node]:
    """What the backward graph needs of the forward one, less what is cheaply made again from the rest."""
    wanted = {a for node in needs_gradient for a in node.all_input_nodes if a not in needs_gradient}
    wanted |= {node for node in back if isinstance(node, fx.Node) and node not in needs_gradient}
    kept: set[fx.Node] = set()
    while wanted:
        node = wanted.pop()
        if node in given or node in kept or node.op != "call_function":
            continue
        if node.target in VIEWS and not _one_of_several(node):
            wanted.update(node.all_input_nodes)
        else:
            kept.add(node)
    for node in [n for n in graph.nodes if n in kept]:
        if node.target in CHEAP and _reachable(node, kept - {node}, given):
            kept.remove(node)
    return [node for node in graph.nodes if node in kept]


def _one_of_several(node: fx.Node) -> bool:
    """Whether it is one result of an operation that computes several: they are kept one by one."""
    return node.target is operator.getitem and node.all_input_nodes[0].target not in VIEWS


def _reachable(node: fx.Node, kept: set[fx.Node], given: set[fx.Node]) -> bool:
    """Whether cheap operations alone make the node from what is kept or given."""
    return all(
        a in kept
        or a in given
        or a.op == "get_attr"
        or (a.target in CHEAP | VIEWS and _reachable(a, kept, given))
        for a in node.all_input_nodes
    )


def _numel(node: fx.Node) -> int:
    value = node.meta.get("val")
    return value.numel() if isinstance(value, Tensor) else 0


def _needed(inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes that stand between the inputs and the outputs, and those of both that are used."""
    needed: set[fx.Node] = set()
    stack = [node for node in outputs if isinstance(node, fx.Node)]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(() if node in inputs else node.all_input_nodes)
    return needed


def extract(root: fx.GraphModule, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]) -> fx.GraphModule:
    """The part of a graph that makes the outputs from the inputs."""
    copies: dict[fx.Node, fx.Node] = {}
    part = fx.Graph()
    for node in inputs:
        copies[node] = part.placeholder(node.name)
        copies[node].meta = dict(node.meta)
    needed = _needed(inputs, outputs) - set(inputs)
    for node in root.graph.nodes:
        if node in needed:
            copies[node] = part.node_copy(node, lambda old: copies[old])
    part.output([copies[node] for node in outputs])
    return fx.GraphModule(root, part)
