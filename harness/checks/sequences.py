"""Checks of a cell that is run along sequences: its shapes, and what an output may depend on.

Letters: T time, B batch, D input features, H output features.
"""

import io
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from harness.cell import Cell, State, has_projection
from harness.checks.check import Found
from harness.checks.fresh import Lost, Say, begin
from harness.checks.specimen import (
    INPUTS,
    Specimen,
    difference,
    floats,
    gradients,
    noise,
    parts,
    seeded,
    start,
    stepped,
    surroundings,
    ways,
    weighed,
)
from harness.registry.cells import CellFile, CellSpec

LENGTHS = (1, 2, 3, 7, 16, 33, 130)
CHANGED = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 139)
"""Times from which on the input is another one: about the ends of the chunks that are usual, and between."""
LONG, LARGE = 1000, 1e4
"""Steps of a long sequence, and the size of large inputs."""


def runs(specimen: Specimen) -> Found:
    """Build it, take three steps, and go back along them; all at once too, if it can."""
    cell = specimen.cell(torch.float32, nudge=0)
    x = noise(3, 2, INPUTS, dtype=torch.float32).requires_grad_()
    for way in ways(cell).values():
        y, _ = way(cell, x, start(cell, x))
        if y.requires_grad:
            y.sum().backward()
    return Found("passed", f"built at width {specimen.width}, run, and run backward")


def shapes(specimen: Specimen) -> Found:
    """Shapes and types of outputs and states, in float32 and float64, of three rows and of one."""
    for dtype in (torch.float32, torch.float64):
        for rows in (3, 1):
            for fault in _faults(specimen, dtype, rows):
                case = f"{str(dtype).removeprefix('torch.')}, batch {rows}: {fault}"
                return Found("failed", "something is not of the shape or type it should be", case=case)
    return Found("passed", "in float32 and float64")


def _faults(specimen: Specimen, dtype: torch.dtype, rows: int) -> Iterator[str]:
    """What is not as it should be at a step or an unroll."""
    cell, H = specimen.cell(dtype), specimen.width
    if (cell.input_size, cell.hidden_size) != (INPUTS, H):
        yield f"input_size, hidden_size are {cell.input_size}, {cell.hidden_size}, not {INPUTS}, {H}"
    x = noise(2, rows, INPUTS, dtype=dtype)
    state = start(cell, x)
    for leaf in tree_leaves(state):
        if not isinstance(leaf, Tensor):
            yield f"the state has {leaf!r} in it, which is no tensor"
        elif leaf.dim() == 0 or leaf.shape[0] != rows:
            yield f"the state has a tensor {tuple(leaf.shape)} in it, whose first dimension is not the batch"
        elif leaf.is_floating_point() and leaf.dtype != dtype:
            yield f"the state has a tensor of {leaf.dtype} in it"
    for name, way in ways(cell).items():
        y, after = way(cell, x, state)
        if y.shape != (2, rows, H):
            yield f"{name} gives outputs {tuple(y.shape[-2:])}, not {(rows, H)}"
        elif y.dtype != dtype:
            yield f"{name} gives outputs of {y.dtype}"
        if _form(after) != _form(state):
            yield f"{name} gives a state {_form(after)}, the first one is {_form(state)}"


def _form(state: State) -> Any:
    """The state with shapes and types in place of its tensors."""
    return tree_map(
        lambda leaf: (
            f"{str(leaf.dtype).removeprefix('torch.')} {tuple(leaf.shape)}"
            if isinstance(leaf, Tensor)
            else type(leaf).__name__
        ),
        state,
    )


def unroll(specimen: Specimen) -> Found:
    """The whole sequence at once against its steps: outputs, last state and gradients, from two states; and
    the projection done once for all steps.
    """
    others = " and ".join(name for name in _paths(specimen.cell()) if name != "step")
    if not others:
        return Found("passed", "there is no way but its steps")
    for length in LENGTHS:
        for before in (0, 6):
            results, derived = {}, {}
            for name in _paths(specimen.cell()):
                cell = specimen.cell()
                lead, x = noise(before, 3, INPUTS, key=1), noise(length, 3, INPUTS).requires_grad_()
                state = start(cell, x)
                if before:
                    with torch.no_grad():
                        _, state = stepped(cell, lead, state)
                results[name] = _paths(cell)[name](cell, x, state)
                learned = {n: p for n, p in cell.named_parameters() if p.requires_grad}
                found = gradients(weighed(results[name]), [x, *learned.values()])
                derived[name] = dict(zip(["x", *learned], found, strict=True))
            for name in [name for name in results if name != "step"]:
                where = f"T = {length}" + (", from a later state" if before else "")
                for part, a, b in parts(results[name], results["step"]):
                    if off := difference(a, b):
                        case = f"{where}: {part} of {name} differs from that of step {off}"
                        return Found("failed", f"{name} is not its steps", case=case)
                for of, gradient in derived["step"].items():
                    if off := difference(derived[name][of], gradient, 1e-6):
                        case = f"{where}: the gradient by {of} of {name} differs from that of step {off}"
                        return Found("failed", f"{name} has another gradient than its steps", case=case)
    return Found(
        "passed", f"{others}: as its steps at T = {LENGTHS[0]} to {LENGTHS[-1]}, forward and gradient"
    )


def _paths(cell: Cell) -> dict[str, Any]:
    """The ways to run it, and by a projection of all steps at once."""
    return ways(cell) | ({"project": _projected} if has_projection(cell) else {})


def _projected(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for pre in cell.project(x).unbind():
        y, state = cell.recur(pre, state)
        outputs.append(y)
    return torch.stack(outputs), state


def causality(specimen: Specimen) -> Found:
    """Outputs before a time t, with other inputs from t on; training and evaluating."""
    T = CHANGED[-1] + 1
    x, other = noise(T, 2, INPUTS), noise(T, 2, INPUTS, key=1)
    for name in ways(specimen.cell()):
        times = CHANGED if name == "unroll" else CHANGED[:7]
        for training in (True, False):
            here = x[: times[-1] + 1]
            expected = _outputs(specimen, name, here, training)
            for t in times:
                found = _outputs(specimen, name, torch.cat([here[:t], other[t : len(here)]]), training)
                if off := difference(found[:t], expected[:t]):
                    mode = "training" if training else "evaluating"
                    case = f"{name}, {mode}, T = {len(here)}, with another input from time {t} on, {off}"
                    return Found("failed", "an output depends on later inputs", case=case)
    return Found(
        "passed", f"with other inputs from any of {len(CHANGED)} times on, what came before is the same"
    )


@torch.no_grad()
def _outputs(specimen: Specimen, way: str, x: Tensor, training: bool = True) -> Tensor:
    """The outputs of a new cell."""
    cell = specimen.cell().train(training)
    return ways(cell)[way](cell, x, start(cell, x))[0]


def rows(specimen: Specimen) -> Found:
    """The outputs of each row, with other rows beside it and by itself; training and evaluating."""
    x, other = noise(12, 4, INPUTS), noise(12, 4, INPUTS, key=1)
    for name in ways(specimen.cell()):
        for training in (True, False):
            expected = _outputs(specimen, name, x, training)
            for row in range(4):
                among = other.clone()
                among[:, row] = x[:, row]
                found = _outputs(specimen, name, among, training)[:, row : row + 1]
                alone = _outputs(specimen, name, x[:, row : row + 1], training)
                for how, each in (("among other rows", found), ("alone", alone)):
                    if off := difference(each, expected[:, row : row + 1]):
                        mode = "training" if training else "evaluating"
                        case = f"{name}, {mode}: row {row} of 4, {how}, {off}"
                        return Found("failed", "a row depends on the others", case=case)
    return Found("passed", "each of 4 rows is the same among others and alone")


@torch.no_grad()
def memory(specimen: Specimen) -> Found:
    """A sequence, another one, and the first again, by one and the same cell."""
    x, other = noise(9, 3, INPUTS), noise(5, 2, INPUTS, key=1)
    for name in ways(specimen.cell()):
        cell = specimen.cell()
        way = ways(cell)[name]
        first, _ = way(cell, x, start(cell, x))
        way(cell, other, start(cell, other))
        again, _ = way(cell, x, start(cell, x))
        if off := difference(again, first):
            case = f"{name}: a sequence that comes again after another one of 5 steps, {off}"
            return Found("failed", "something is left of the sequence before", case=case)
    return Found("passed", "a sequence gives the same outputs after another one")


@torch.no_grad()
def determinism(specimen: Specimen) -> Found:
    """The same sequence twice, by new cells, with the global generators at other places."""
    x = noise(9, 3, INPUTS)
    for name in ways(specimen.cell()):
        results = []
        for seed in (1, 2):
            cell = specimen.cell()
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            with seeded(seed):
                results.append(ways(cell)[name](cell, x, start(cell, x)))
        for part, a, b in parts(*results):
            if off := difference(a, b, 0):
                case = f"{name}: {part} of the same sequence, once more, {off}"
                return Found("failed", "the same gives something else", case=case)
    return Found("passed", "twice the same, to the last bit")


@torch.no_grad()
def state(specimen: Specimen) -> Found:
    """A sequence cut in two: its state is written as bytes, read in another process, and given to the cell
    that is built there. And how many numbers the state has, at first and later.
    """
    x = _cut_in_two()
    halves, expected = [], []
    for name in ways(specimen.cell()):
        whole = _outputs(specimen, name, x)
        for cut in (1, 6, 12):
            cell = specimen.cell()
            _, between = ways(cell)[name](cell, x[:cut], start(cell, x))
            halves.append((name, cut, _written(between)))
            expected.append(whole[cut:])
    spec = specimen.spec
    try:
        (tails,) = begin(_continue, spec.file, dict(spec.options), spec.layers, halves)
    except Lost as error:
        case = f"continued in a fresh process: {error}"
        return Found("failed", "not all that is remembered is in the state", case=case)
    for (name, cut, _), tail, rest in zip(halves, _read(tails), expected, strict=True):
        if off := difference(tail, rest):
            case = (
                f"{name}: {cut} steps, then the rest in a fresh process, from the state that was given, {off}"
            )
            return Found("failed", "not all that is remembered is in the state", case=case)
    cell = specimen.cell()
    sizes = [_numbers(start(cell, x)), *(_numbers(stepped(cell, x[:t], start(cell, x))[1]) for t in (1, 13))]
    for t, (a, b) in zip((1, 13), pairwise(sizes), strict=True):
        if a != b:
            case = f"{sizes[0]} numbers at first, {b} after {t} steps"
            return Found("failed", "the state grows", {"state_floats": sizes[0]}, case)
    return Found(
        "passed", f"complete, {sizes[0]} numbers at width {specimen.width}", {"state_floats": sizes[0]}
    )


def _cut_in_two() -> Tensor:
    return noise(13, 3, INPUTS)


@torch.no_grad()
def _continue(
    say: Say, file: CellFile, options: dict[str, Any], layers: int, halves: list[tuple[str, int, bytes]]
) -> None:
    """Run the cell on from each state, by so many steps before and a way to run it; say the outputs."""
    specimen, x, tails = Specimen(CellSpec(file, file.cell_class(), options, layers)), _cut_in_two(), []
    for name, cut, state in halves:
        cell = specimen.cell()
        start(cell, x)
        tails.append(ways(cell)[name](cell, x[cut:], _read(state))[0])
    say(_written(tails))


def _written(tensors: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def _read(written: bytes) -> Any:
    return torch.load(io.BytesIO(written), weights_only=False)


def _numbers(state: State) -> int:
    """The numbers in a row of it."""
    return sum(leaf[0].numel() for leaf in tree_flatten(state)[0] if isinstance(leaf, Tensor) and leaf.dim())


def finite(specimen: Specimen) -> Found:
    """Outputs, state and gradients in float32, as the cell starts: of one step, of a long sequence, and of
    large inputs.
    """
    for length, size in ((1, 1.0), (20, LARGE), (LONG, 1.0)):
        for name in ways(specimen.cell()):
            if fault := _not_finite(specimen, name, length, size):
                if name == "unroll" and length == LONG:
                    length, fault = _shortest(specimen, length, fault)
                large = f", inputs × {size:g}" if size != 1 else ""
                case = f"{name}, T = {length}{large}: {fault}"
                return Found("failed", "not all numbers are finite", case=case)
    return Found("passed", f"at T = 1 and {LONG}, and for inputs × {LARGE:g}")


def _not_finite(specimen: Specimen, way: str, length: int, size: float) -> str | None:
    """What of a sequence is not finite."""
    cell = specimen.cell(torch.float32, nudge=0)
    x = (size * noise(LONG, 2, INPUTS, dtype=torch.float32)[:length]).requires_grad_()
    y, after = ways(cell)[way](cell, x, start(cell, x))
    bad = (~torch.isfinite(y)).nonzero()
    if len(bad):
        return f"the output at time {int(bad[0, 0])} is {float(y.detach()[tuple(bad[0])])}"
    if not all(torch.isfinite(leaf).all() for leaf in floats(after)):
        return "the last state is not finite"
    learned = {name: p for name, p in cell.named_parameters() if p.requires_grad}
    found = gradients(y.mean(), [x, *learned.values()])
    for name, gradient in zip(["x", *learned], found, strict=True):
        if not torch.isfinite(gradient).all():
            return f"the gradient by {name} is not finite"
    return None


def _shortest(specimen: Specimen, length: int, fault: str) -> tuple[int, str]:
    """The shortest sequence, by halving, that `unroll` makes no number of, and what of it."""
    low = 1
    while low + 1 < length:
        middle = (low + length) // 2
        found = _not_finite(specimen, "unroll", middle, 1.0)
        low, length, fault = (low, middle, found) if found else (middle, length, fault)
    return length, fault


@torch.no_grad()
def inputs(specimen: Specimen) -> Found:
    """Input, state, parameters and buffers, before and after a step and an unroll."""
    for name in ways(specimen.cell()):
        cell, x = specimen.cell(), noise(4, 3, INPUTS)
        _, before = stepped(cell, x, start(cell, x))
        held = {"the input": x, **{f"tensor {i} of the state": t for i, t in enumerate(tree_leaves(before))}}
        held |= dict((*cell.named_parameters(), *cell.named_buffers()))
        copies = {n: t.clone() for n, t in held.items() if isinstance(t, Tensor)}
        cell.step(x[0], before) if name == "step" else cell.unroll(x, before)
        for what, copy in copies.items():
            if off := difference(held[what].double(), copy.double(), 0):
                return Found("failed", "it changes what it was given", case=f"{name} changes {what} {off}")
    return Found("passed", "input, state, parameters and buffers stay as they are")


def globals_(specimen: Specimen) -> Found:
    """What belongs to the whole process, after building a cell, starting, running and going back."""
    before = surroundings()
    with seeded(0):
        cell = specimen.spec.build(INPUTS, specimen.width)
    if changed := _changed(before):
        return Found("failed", "it changes what is not its own", case=f"__init__ changes {changed}")
    x = noise(3, 2, INPUTS, dtype=torch.float32).requires_grad_()
    cell = cell.float()
    first = start(cell, x)
    if changed := _changed(before):
        return Found("failed", "it changes what is not its own", case=f"initial_state changes {changed}")
    for name, way in ways(cell).items():
        y, _ = way(cell, x, first)
        if y.requires_grad:
            y.sum().backward()
        if changed := _changed(before):
            return Found("failed", "it changes what is not its own", case=f"{name} changes {changed}")
    return Found("passed", f"{len(before)} things of the whole process stay as they are")


def _changed(before: dict[str, Any]) -> str:
    """What of the whole process is not as it was."""
    return ", ".join(what for what, value in surroundings().items() if value != before[what])
