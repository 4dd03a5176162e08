"""The ways to run a population's cells along their sequences: reference, eager and compiled.

Letters: P members, T time, B batch, D input features, Q queries, H output features.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_leaves

from harness.cell import State
from harness.engine import compiler
from harness.engine.hoist import Hoisted, hoist
from harness.engine.sequence import Run
from harness.engine.stack import StackedModel
from harness.engine.step import Advance, Step, trace


class Untraceable(Exception):
    """A cell's step cannot be vmapped or traced; the message says why."""


@contextmanager
def _of_tensors() -> Iterator[None]:
    """What the cell does in here must go for all members at once: else it is Untraceable."""
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise
        first = str(error).strip().partition("\n")[0]
        raise Untraceable(first or type(error).__name__) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is no memory left, on a GPU or a CPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class Reference:
    """A loop over the members, and over the steps of each: what every other engine is tested against."""

    name = "reference"

    def run(
        self, model: StackedModel, parameters: dict[str, Tensor], inputs: Tensor, queries: Sequence[int]
    ) -> Tensor:
        """Inputs (P, T, B) or (P, T, B, D) to the cells' outputs at the queries, (P, Q, B, H)."""
        one = model.part("outputs")
        members = ({name: p[i] for name, p in parameters.items()} for i in range(len(inputs)))
        return torch.stack([one(p, x, queries) for p, x in zip(members, inputs, strict=True)])


class Unrolled:
    """The cell's own `unroll` of the whole sequence, vmapped over the members or, failing that, in a loop."""

    name = "unroll"

    def __init__(self) -> None:
        self._vmapped = True

    def run(
        self, model: StackedModel, parameters: dict[str, Tensor], inputs: Tensor, queries: Sequence[int]
    ) -> Tensor:
        """Inputs (P, T, B) or (P, T, B, D) to the cells' outputs at the queries, (P, Q, B, H)."""
        one = model.part("unrolled")
        if self._vmapped:
            try:
                outputs: Tensor = vmap(lambda p, x: one(p, x, queries))(parameters, inputs)
                return outputs
            except RuntimeError:
                self._vmapped = False
        members = ({name: p[i] for name, p in parameters.items()} for i in range(len(inputs)))
        return torch.stack([one(p, x, queries) for p, x in zip(members, inputs, strict=True)])


class Traced:
    """The population's step as two traced graphs, run step after step.

    memory: bytes that one pass may keep for its way back
    compile: whether the steps that are trained with are compiled; told in a `note` where that fails
    """

    def __init__(
        self, memory: int, *, compile: bool = False, note: Callable[[str], None] = lambda line: None
    ) -> None:
        self.memory, self.note = memory, note
        self.name = "compiled" if compile else "eager"
        self._traced: dict[tuple[int, ...], tuple[Hoisted, Step]] = {}
        self._steps: dict[tuple[int | str, ...], Step] = {}

    def compile(self) -> None:
        """Compile the steps that are trained with from now on."""
        self.name = "compiled"

    def pays(self, seconds: float) -> bool:
        """Whether to compile, with so many seconds of eager work ahead."""
        return all(compiler.pays(step, seconds) for key, (_, step) in self._traced.items() if key[-1])

    def run(
        self, model: StackedModel, parameters: dict[str, Tensor], inputs: Tensor, queries: Sequence[int]
    ) -> Tensor:
        """Inputs (P, T, B) or (P, T, B, D) to the cells' outputs at the queries, (P, Q, B, H)."""
        training, rows = torch.is_grad_enabled(), inputs.shape[2]
        cells = {
            n: p for n, p in parameters.items() if n.startswith("model.cell.") and n not in model.buffers
        }
        with _of_tensors():
            x, index = self._embedded(model, parameters, inputs)
            hoisted, step = self._step(model, parameters, cells, x, rows, training)
            values, source = hoisted.values(cells), hoisted.features(cells, x)
            state = _start(model, parameters, rows)
        if index is not None:
            source = source.flatten(0, 1)
        else:
            source = source.unflatten(1, (-1, rows)).transpose(0, 1).contiguous()
        used = [values[name].contiguous() for name in step.names]
        leaves = [leaf.contiguous() for leaf in tree_leaves(state)]
        memory = self.memory if training else 0
        outputs: Tensor = Run.apply(step, queries, memory, source, index, len(used), *used, *leaves)
        return outputs.transpose(0, 1)

    def _embedded(
        self, model: StackedModel, parameters: dict[str, Tensor], inputs: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Inputs as the cells read them, (P, N, D), and which of them each step reads: of tokens every word
        once with an index (T, P, B) into all members' words, of reals all steps' with None.
        """
        embedded, members = vmap(model.part("embedded")), len(inputs)
        if inputs.is_floating_point():
            return embedded(parameters, inputs.flatten(1, 2)), None
        vocabulary = parameters["model.encoder.weight"].shape[1]
        words = torch.arange(vocabulary, device=inputs.device).expand(members, vocabulary)
        first = vocabulary * torch.arange(members, device=inputs.device)
        index = (inputs + first[:, None, None]).transpose(0, 1).contiguous()
        return embedded(parameters, words), index

    def _step(
        self,
        model: StackedModel,
        parameters: dict[str, Tensor],
        cells: dict[str, Tensor],
        x: Tensor,
        rows: int,
        training: bool,
    ) -> tuple[Hoisted, Step]:
        """The step of so many rows, and what of it is done ahead."""
        shape = (len(x), rows, x.shape[2], training)
        if shape not in self._traced:
            with torch.no_grad():
                one, state = x.new_zeros(len(x), rows, x.shape[2]), _start(model, parameters, rows)
                hoisted = hoist(_beside_buffers(vmap(model.part("advance"))), cells, one, state)
                values, features = hoisted.values(cells), hoisted.features(cells, one)
            self._traced[shape] = hoisted, trace(hoisted.recur, values, features, state)
        hoisted, step = self._traced[shape]
        key = (*shape, self.name)
        if key not in self._steps:
            self._steps[key] = self._prepared(step, training)
        return hoisted, self._steps[key]

    def _prepared(self, step: Step, training: bool) -> Step:
        if training and self.name == "compiled":
            try:
                return compiler.compiled(step)
            except Exception as error:
                self.name = "eager"
                self.note(f"is not compiled: {str(error).strip().partition(chr(10))[0]}")
        return compiler.recorded(step) if step.device.type == "cuda" else step


def _start(model: StackedModel, parameters: dict[str, Tensor], rows: int) -> State:
    """The state before the first step, with the members' own buffers beside it."""
    start, like = model.part("start"), parameters["model.readout.weight"]
    state = vmap(lambda p: start(p, rows, like.device, like.dtype))(parameters)
    return state, {name: parameters[name] for name in model.buffers}


def _beside_buffers(advance: Advance) -> Advance:
    """The step of a state that has the members' own buffers beside it."""

    def step(parameters: dict[str, Tensor], x: Tensor, state: State) -> tuple[Tensor, State]:
        inner, buffers = state
        y, after = advance({**parameters, **buffers}, x, inner)
        return y, (after, buffers)

    return step
