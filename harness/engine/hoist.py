"""What of a step need not be done at every step: all that does not depend on the state.

Products with the input and what is made of parameters alone (a mask applied, a rate squashed) are found in
the traced step and done once for a whole sequence, whichever way the cell was written.

Letters: P members, B batch, N inputs, D input features, F features of what is left of a step reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx
from torch.func import functionalize, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten, tree_unflatten

from harness.cell import State
from harness.engine.step import CHEAP, VIEWS, Advance, extract

PIECES = 64
"""Batches of inputs that are projected at once: of each the product has a copy of the weights."""


@dataclass(frozen=True)
class Hoisted:
    """A population's step in three.

    constants: parameters → what is made of parameters alone
    project: parameters, x (P, B, D) → what is made of the input, each (P, B, …); B is `rows`
    recur: the rest, as a step whose parameters are the parameters and the constants, and whose input
        (P, B, F) is what `project` gave, side by side
    """

    constants: fx.GraphModule
    project: fx.GraphModule
    recur: Advance
    rows: int

    def values(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `recur` may read: the parameters and the constants."""
        made = self.constants(*parameters.values())
        return {**parameters, **{_constant(i): value for i, value in enumerate(made)}}

    def features(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """What `recur` reads of inputs (P, N, D): (P, N, F)."""
        length, values = x.shape[1], tuple(parameters.values())
        padded = F.pad(x, (0, 0, 0, -length % self.rows)).unflatten(1, (-1, self.rows))
        each = vmap(lambda batch: self.project(*values, batch), in_dims=1, out_dims=1)
        made = [
            torch.cat([part.flatten(1, 2).flatten(2) for part in each(piece)], dim=2)
            for piece in padded.split(PIECES, dim=1)
        ]
        return torch.cat(made, dim=1)[:, :length]


def hoist(advance: Advance, parameters: dict[str, Tensor], x: Tensor, state: State) -> Hoisted:
    """Divide the step of members whose parameters (P, …), x (P, B, D) and state (P, B, …) look like these.

    Raises whatever the step raises when it cannot be vmapped or traced.
    """
    traced = _Traced(advance, parameters, x, state)
    if not _of_each_row_alone(traced, list(parameters.values())):
        traced.keep_input()
    module, shapes = traced.module, [node.meta["val"].shape[2:] for node in traced.features]
    given = [*traced.parameters, *traced.constants, *traced.features, *traced.state]
    rest, spec = extract(module, given, traced.results), tree_flatten(state)[1]

    def recur(values: dict[str, Tensor], x: Tensor, state: State) -> tuple[Tensor, State]:
        parts = x.split([shape.numel() for shape in shapes], dim=2)
        features = [part.unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)]
        y, *after = rest(*values.values(), *features, *tree_flatten(state)[0])
        return y, tree_unflatten(after, spec)

    return Hoisted(
        constants=extract(module, traced.parameters, traced.constants),
        project=extract(module, [*traced.parameters, traced.input], traced.features),
        recur=recur,
        rows=x.shape[1],
    )


def _copied(onto: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    return source.to(onto.dtype).expand(onto.shape)


_DIFFERENTIABLE = {torch.ops.aten.copy.default: _copied}
"""What a write in place is traced as has no derivative."""


def _constant(number: int) -> str:
    return f"constant.{number}"


class _Traced:
    """A traced step, with the nodes at which it is cut.

    constants: made of parameters alone; features: made of the input, and perhaps of parameters
    """

    def __init__(self, advance: Advance, parameters: dict[str, Tensor], x: Tensor, state: State) -> None:
        leaves, spec = tree_flatten(state)
        n = len(parameters)

        def flat(*tensors: Tensor) -> list[Tensor]:
            values = dict(zip(parameters, tensors[:n], strict=True))
            y, after = advance(values, tensors[n], tree_unflatten(list(tensors[n + 1 :]), spec))
            leaves_after, spec_after = tree_flatten(after)
            if spec_after != spec:
                raise TypeError(f"the state changes its structure in a step, from {spec} to {spec_after}")
            return [y, *leaves_after]

        given = [*(p.detach() for p in parameters.values()), x, *leaves]
        with torch.no_grad():
            self.module = make_fx(functionalize(flat, remove="mutations"), _DIFFERENTIABLE)(*given)
        self.module.graph.eliminate_dead_code()
        inputs = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        self.parameters, self.input, self.state = inputs[:n], inputs[n], inputs[n + 1 :]
        self.results: Sequence[fx.Node] = self.module.graph.output_node().args[0]  # type: ignore[assignment]
        self._cut({self.input})
        if all(node.target in CHEAP | VIEWS for node in self._made if node not in self._constant):
            self.keep_input()

    def keep_input(self) -> None:
        """Cut so that the rest reads the input itself."""
        self._cut(set())
        self.features = [self.input]

    def _cut(self, inputs: set[fx.Node]) -> None:
        """Find what is made of the parameters and of these inputs, and where the rest begins to use it."""
        self._constant = set(self.parameters)
        known = self._constant | inputs
        self._made: list[fx.Node] = []
        for node in self.module.graph.nodes:
            of = [a for a in node.all_input_nodes if a.op != "get_attr"]
            if node.op == "call_function" and of and known.issuperset(of) and _can_be_kept(node):
                self._made.append(node)
                known.add(node)
                if self._constant.issuperset(of):
                    self._constant.add(node)
        rest = [node for node in self.module.graph.nodes if node.op != "get_attr" and node not in known]
        wanted = {a for node in rest for a in node.all_input_nodes if a in known}
        cut: set[fx.Node] = set()
        while wanted:  # a view is made again from what it is a view of
            node = wanted.pop()
            if node.target in VIEWS and node.op == "call_function":
                wanted.update(node.all_input_nodes)
            else:
                cut.add(node)
        order = [self.input, *self._made]
        self.constants = [node for node in order if node in cut and node in self._constant]
        self.features = [node for node in order if node in cut and node not in self._constant]


def _can_be_kept(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return node.target in VIEWS or (isinstance(value, Tensor) and value.is_floating_point())


def _of_each_row_alone(traced: _Traced, parameters: list[Tensor]) -> bool:
    """Whether each row of what is made of the input is made of that row of the input and no other."""
    x = traced.input.meta["val"]
    shapes = [node.meta["val"].shape for node in traced.features]
    if any(len(shape) < 3 or shape[:2] != x.shape[:2] for shape in shapes):
        return False
    before = torch.linspace(-1, 1, x.numel(), dtype=x.dtype, device=x.device).view(x.shape)
    after = before.roll(1, dims=1)  # each row one on …
    after[:, 0] = 0  # … and a new one: it must change no other
    project = extract(traced.module, [*traced.parameters, traced.input], traced.features)
    with torch.no_grad():
        pairs = zip(project(*parameters, before), project(*parameters, after), strict=True)
    return all(torch.allclose(a[:, :-1], b[:, 1:], rtol=1e-3, atol=1e-4) for a, b in pairs)
