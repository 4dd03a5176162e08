"""Checks of a cell's weights: where they come from, what they learn, and how many there are."""

from itertools import islice, pairwise

import torch
from torch import Tensor

from harness.cell import Cell, count_parameters
from harness.checks.check import Found
from harness.checks.specimen import (
    INPUTS,
    NUDGE,
    Specimen,
    difference,
    gradients,
    noise,
    seeded,
    start,
    stepped,
    weighed,
)
from harness.model import EMBEDDING, solve_width
from harness.protocol import QUICK, STANDARD

TRIES = ((12, 0.0), (24, NUDGE), (300, 0.0), (300, NUDGE))
"""Lengths of the sequences that are to give every weight a gradient, and how far weights are moved from where
they start: some units are off at times, and slow ones wait.
"""
STRIDE = 1e-6
"""Half the distance of the two points between which a slope is taken."""
NEAR = 0.1
"""How far below a budget a cell may end without a mark."""


def seed(specimen: Specimen) -> Found:
    """Weights of cells built with the same seed of torch's generator, and with another."""

    def built(number: int) -> tuple[dict[str, Tensor], Tensor]:
        with seeded(number):
            tensors = specimen.spec.build(INPUTS, specimen.width).state_dict()
            return tensors, torch.random.get_rng_state()

    (first, _), (again, at), (other, at_other) = built(1), built(1), built(2)
    for name, tensor in first.items():
        if off := difference(again[name].double(), tensor.double(), 0):
            case = f"{name}, built again with seed 1, {off}"
            return Found("failed", "the same seed gives other weights", case=case)
    if torch.equal(at, at_other):
        case = "after __init__ torch's generator is at the same place, whether its seed was 1 or 2"
        return Found("failed", "it seeds torch's generator itself", case=case)
    if all(torch.equal(other[name], tensor) for name, tensor in first.items()):
        return Found("undecided", "every seed gives the same weights: repetitions differ in their data only")
    return Found("passed", "the same seed gives the same weights, another one others")


def gradient(specimen: Specimen) -> Found:
    """Whether every entry of every parameter that learns and is not masked has a gradient."""
    masks = specimen.cell().parameter_masks()
    lacking: dict[str, Tensor] = {}
    for key, (length, nudge) in enumerate(TRIES):
        found = _gradients(specimen.cell(seed=key, nudge=nudge), length, key)
        for name, of in found.items():
            none = of == 0
            if name in masks and masks[name].shape == of.shape:
                none &= masks[name]
            lacking[name] = none & lacking.get(name, none)
        if not any(none.any() for none in lacking.values()):
            learned = sum(of.numel() for of in found.values())
            measured = f"all {learned} entries" if learned else "none of its parameters learns"
            return Found("passed" if learned else "reported", measured, {"entries": learned})
    name, none = next((name, none) for name, none in lacking.items() if none.any())
    entry = tuple(none.nonzero()[0].tolist())
    missing = f"{int(none.sum())} of {none.numel()} entries of {name}"
    case = f"{missing} have none in {TRIES[-1][0]} steps; the first is {entry}"
    return Found("failed", f"{name} has no gradient", case=case)


def _gradients(cell: Cell, length: int, key: int) -> dict[str, Tensor]:
    """The gradient of the outputs of a sequence, by each parameter that learns."""
    x = noise(length, 12, INPUTS, key=key)
    y, _ = stepped(cell, x, start(cell, x))
    learned = {name: p for name, p in cell.named_parameters() if p.requires_grad}
    return dict(zip(learned, gradients(weighed(y), list(learned.values())), strict=True))


def derivative(specimen: Specimen) -> Found:
    """The gradient of a sequence's outputs along a line, against the slope between two points of it."""
    cell, x = specimen.cell(), noise(6, 3, INPUTS).requires_grad_()
    y, _ = stepped(cell, x, start(cell, x))
    by = {"x": x, **{name: p for name, p in cell.named_parameters() if p.requires_grad}}
    found = gradients(weighed(y), list(by.values()))
    for (name, tensor), gradient in zip(by.items(), found, strict=True):
        line = noise(*tensor.shape, key=1)
        said, slope = float((gradient * line).sum()), _slope(specimen, x.detach(), name, line)
        if abs(said - slope) > 1e-4 * abs(slope) + 1e-6:
            case = f"T = 6, along a line through {name}: gradient {said:.6g}, slope {slope:.6g}"
            return Found("failed", "the gradient is not that of the outputs", case=case)
    return Found("passed", f"by the input and {len(found) - 1} parameters it is the slope of the outputs")


@torch.no_grad()
def _slope(specimen: Specimen, x: Tensor, name: str, line: Tensor) -> float:
    """How fast the outputs, weighed, change along a line through the input or a parameter."""
    ends = []
    for moved in (STRIDE * line, -STRIDE * line):
        cell = specimen.cell()
        if name == "x":
            y, _ = stepped(cell, x + moved, start(cell, x))
        else:
            dict(cell.named_parameters())[name].add_(moved)
            y, _ = stepped(cell, x, start(cell, x))
        ends.append(float(weighed(y)))
    return (ends[0] - ends[1]) / (2 * STRIDE)


def masks(specimen: Specimen) -> Found:
    """Structural zeros: whether they have a gradient, or change an output when they are no zeros."""
    cell = specimen.cell()
    found, parameters = cell.parameter_masks(), dict(cell.named_parameters())
    if not found:
        return Found("passed", "no structural zeros")
    for name, mask in found.items():
        if name not in parameters or mask.dtype != torch.bool or mask.shape != parameters[name].shape:
            case = f"{name}: {mask.dtype} {tuple(mask.shape)}"
            return Found("failed", "a mask is not of bool and of its parameter's shape", case=case)
    for name, of in _gradients(cell, TRIES[0][0], 0).items():
        if name in found and (learns := (of != 0) & ~found[name]).any():
            entry = tuple(learns.nonzero()[0].tolist())
            case = f"entry {entry} of {name}, a structural zero, has the gradient {float(of[entry]):.6g}"
            return Found("failed", "a structural zero learns", case=case)
    x = noise(12, 3, INPUTS)
    with torch.no_grad():
        expected, _ = stepped(cell, x, start(cell, x))
        for name, mask in found.items():
            parameters[name].add_(~mask)
        changed, _ = stepped(cell, x, start(cell, x))
    if off := difference(changed, expected):
        case = f"with 1 added to the structural zeros, {off}"
        return Found("failed", "a structural zero counts", case=case)
    zeros = sum(int((~mask).sum()) for mask in found.values())
    return Found("passed", f"{zeros} structural zeros do not learn, and change nothing", {"zeros": zeros})


def budget(specimen: Specimen) -> Found:
    """The width that two budgets buy, and whether a larger width is always of more parameters."""
    spec, widths = specimen.spec, {}

    def parameters(width: int) -> int:
        with seeded(0):
            return count_parameters(spec.build(EMBEDDING, width))

    for budget in (QUICK.budget, STANDARD.budget):
        width = widths[budget] = solve_width(spec, budget)
        count = parameters(width)
        if count > budget and not spec.cls.reference:
            return Found("failed", "over the budget", case=f"{count:,} parameters at width {width}")
        near = sorted({*islice(spec.widths(1, width), 4), *spec.widths(max(1, width // 2), width)})
        some = [*near[:: max(1, len(near) // 8)], width]
        for (a, below), (b, above) in pairwise((w, parameters(w)) for w in some if w):
            if a < b and below >= above:
                case = f"{below:,} at width {a}, {above:,} at width {b}"
                return Found("failed", "a larger width is of no more parameters", {}, case)
    count = parameters(widths[QUICK.budget])
    shown = " and ".join(f"{budget:,} buys width {width}" for budget, width in widths.items())
    mark = (
        ""
        if count >= (1 - NEAR) * QUICK.budget or count > QUICK.budget
        else f"; it fills {count:,} of the first"
    )
    return Found("passed", shown + mark, {"widths": widths, "parameters": count})
