"""Checks of how a cell trains: as a population, compiled, alike by every engine, and whether it learns."""

import shutil
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from harness.cell import overrides
from harness.checks.check import Found
from harness.checks.specimen import INPUTS, Difference, Specimen, difference, noise, parts, start
from harness.engine import Member, Population, Settings, train
from harness.engine.data import Source
from harness.engine.engines import Reference, Traced, Unrolled, Untraceable
from harness.engine.stack import Engine, StackedModel
from harness.model import build, solve_width
from harness.protocol import QUICK
from harness.registry import find_task

CPU = torch.device("cpu")
TASK, GAP = "gap-copy", 31
"""What the engines are compared on."""
TRIVIAL, NEAREST, UPDATES, RATES, ENOUGH = "gap-latch", 2, 400, (1e-2, 3e-2), 0.95
"""One bit, two tokens back: what is learned of it in so many updates."""


def population(specimen: Specimen) -> Found:
    """A step of two members by `vmap`, against each by itself."""
    cells = [specimen.cell(seed=seed) for seed in (1, 2)]
    x = noise(1, 3, INPUTS)
    parameters, buffers = stack_module_state(cells)

    def advance(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Any:
        given = x[0].clone(), start(cells[0], x)
        return functional_call(_Step(cells[0]), _within(parameters, buffers), given)

    try:
        together = vmap(advance)(parameters, buffers)[0]
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        return Found("reported", f"no, trains one member at a time: {first}", {"vmap": False})
    for number, seed in enumerate((1, 2)):
        cell = specimen.cell(seed=seed)
        if off := difference(together[number], cell.step(x[0].clone(), start(cell, x))[0]):
            return Found("failed", "vmap changes the step", {"vmap": True}, f"member {number} of 2, {off}")
    return Found("reported", "yes", {"vmap": True})


class _Step(torch.nn.Module):
    def __init__(self, cell: torch.nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: Any) -> Any:
        return self.cell.step(x, state)  # type: ignore[operator]


def _within(*tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"cell.{name}": tensor for each in tensors for name, tensor in each.items()}


def compile(specimen: Specimen) -> Found:
    """A step as one graph, as torch's compiler takes it up; no code is made of it."""
    cell, x = specimen.cell(), noise(1, 3, INPUTS)[0]
    torch.compiler.reset()
    first = cell.initial_state(len(x), device=CPU, dtype=x.dtype)
    try:
        found = torch.compile(cell.step, backend="aot_eager", fullgraph=True)(x, first)
    except Exception as error:
        line = str(error).strip().partition("\n")[0]
        return Found("reported", f"no: {line}", {"compile": False})
    for part, a, b in parts(found, cell.step(x, first)):
        if off := difference(a, b):
            return Found("failed", "compiling changes the step", {"compile": True}, f"{part}, {off}")
    return Found("reported", "yes, as one graph", {"compile": True})


def engines(specimen: Specimen) -> Found:
    """Losses and gradients of three members on a task, by every engine, in float64."""
    others: dict[str, Engine] = {"eager": Traced(1 << 30)}
    if overrides(specimen.cell(), "unroll"):
        others |= {"unroll": Unrolled()}
    return _agree(specimen, others)


def compiled(specimen: Specimen) -> Found:
    """The same, by the step compiled to code."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return Found("undecided", "there is no C++ compiler here")
    notes: list[str] = []
    found = _agree(specimen, {"compiled": Traced(1 << 30, compile=True, note=notes.append)})
    return Found("reported", notes[0]) if notes and found.verdict == "passed" else found


def _agree(specimen: Specimen, others: dict[str, Engine]) -> Found:
    """Whether other engines give what the reference gives."""
    task = find_task(TASK)
    models = [build(specimen.spec, task, specimen.width, r).double() for r in range(3)]
    names = [name for name, p in models[0].named_parameters() for _ in range(p.numel())]
    flat = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models])
    batch = Source(task, range(3), CPU, torch.float64).draw("train", GAP, 1, 5)

    def found(engine: Engine) -> tuple[Tensor, Tensor]:
        weights = flat.clone().requires_grad_()
        model = StackedModel(models, SimpleNamespace(engine=engine))
        losses = model.losses(weights, batch, task.output)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        return losses.detach(), gradient

    expected, agreed = found(Reference()), []
    for name, engine in others.items():
        try:
            losses, gradient = found(engine)
        except Untraceable:
            continue
        if off := difference(losses, expected[0]):
            return _disagree(name, f"the loss of member {off.place[0]}", off)
        if off := difference(gradient, expected[1], 1e-6):
            of = names[off.place[1]].removeprefix("cell.")
            case = (
                f"{TASK} at gap {GAP}, a gradient by {of} by {name}: {off.found:.6g}, not {off.expected:.6g}"
            )
            return Found("failed", f"{name} and reference do not agree", case=case)
        agreed.append(name)
    if not agreed:
        return Found("reported", "only the reference can train it", {"engines": ["reference"]})
    return Found("passed", f"{', '.join(agreed)} as the reference", {"engines": ["reference", *agreed]})


def _disagree(engine: str, what: str, off: Difference) -> Found:
    case = f"{TASK} at gap {GAP}: {what} by {engine} is {off.found:.6g}, not {off.expected:.6g}"
    return Found("failed", f"{engine} and reference do not agree", case=case)


def learns(specimen: Specimen) -> Found:
    """What it has right of a trivial task after a short training, at the better of two rates."""
    rules = QUICK.vary(
        updates=UPDATES, gaps=(NEAREST,), lr=RATES, budget=QUICK.budget // 2, batch_size=32, rows=256
    )
    spec = specimen.spec
    members = tuple(Member(0, rate) for rate in RATES)
    population = Population(
        spec, find_task(TRIVIAL), rules, solve_width(spec, rules.budget), NEAREST, members
    )
    trained = train(population, Settings(CPU, engine="eager"))
    counts = [t.counts["test", NEAREST] for t in trained if t.outcome == "finished"]
    best = max((count.n_correct / count.n for count in counts), default=0.0)
    measured = f"{TRIVIAL} at gap {NEAREST}: {best:.3f} after {max(t.updates for t in trained)} updates"
    if best < ENOUGH:
        diverged = sum(t.outcome == "diverged" for t in trained)
        rates = " and ".join(f"{rate:g}" for rate in RATES)
        case = f"learning rates {rates}, chance is 0.5" + (f", {diverged} diverged" if diverged else "")
        return Found("failed", measured, {"accuracy": best}, case)
    return Found("passed", measured, {"accuracy": best})
