"""A cell as the checks handle it: built anew each time, run by its steps or all at once, compared.

Letters: T time, B batch, D input features, H output features.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from harness.cell import Cell, State, overrides
from harness.errors import UserError
from harness.registry import CellSpec

INPUTS = 5
"""D of the cells that are checked."""
WIDTHS = range(8, 1025)
"""Their H is the first of these that a cell admits."""
NUDGE = 0.02
"""How far weights are moved from where they start, so that a zero hides nothing."""

Way = Callable[[Cell, Tensor, State], tuple[Tensor, State]]
"""From a cell, x (T, B, D) and a state to the outputs (T, B, H) and the last state."""


@dataclass(frozen=True)
class Specimen:
    """A cell to be checked. As a test of one's own cell:

    @pytest.mark.parametrize("check", CELL_CHECKS, ids=str)
    def test_my_cell(check):
        finding = check(Specimen(find_cell("my_cell.py")))
        assert finding.verdict != "failed", finding
    """

    spec: CellSpec

    @property
    def id(self) -> str:
        """The cell's id."""
        return self.spec.id

    @property
    def cls(self) -> type[Cell]:
        """The cell's class."""
        return self.spec.cls

    @property
    def expected_failures(self) -> Mapping[str, str]:
        """What the cell's class says that it has to fail, and why."""
        return self.spec.cls.expected_failures

    @cached_property
    def width(self) -> int:
        """H. Raises UserError when the cell admits none of `WIDTHS`."""
        width = next(iter(self.spec.widths(WIDTHS[0], WIDTHS[-1])), None)
        if width is None:
            raise UserError(f"cell {self.id} admits no width from {WIDTHS[0]} to {WIDTHS[-1]}")
        return width

    def cell(self, dtype: torch.dtype = torch.float64, *, seed: int = 0, nudge: float = NUDGE) -> Cell:
        """A new cell. The same arguments give the same weights, or the check `seed` fails."""
        with seeded(seed):
            cell = self.spec.build(INPUTS, self.width).to(dtype)
        generator = _generator(seed)
        with torch.no_grad():
            for p in cell.parameters():
                if p.requires_grad and nudge:
                    p.add_(nudge * torch.randn(p.shape, dtype=dtype, generator=generator))
        return cell


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator seeded in here, and after it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, key: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers; other ones by another key."""
    return torch.randn(*shape, generator=_generator(key), dtype=torch.float64).to(dtype)


def start(cell: Cell, x: Tensor) -> State:
    """The state before x (T, B, D)."""
    return cell.initial_state(x.shape[1], device=x.device, dtype=x.dtype)


def stepped(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Step after step, on a copy of x."""
    outputs = []
    for x_t in x.clone().unbind():
        y, state = cell.step(x_t, state)
        outputs.append(y)
    return torch.stack(outputs), state


def unrolled(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """By the cell's own `unroll`, on a copy of x."""
    return cell.unroll(x.clone(), state)


def ways(cell: Cell) -> dict[str, Way]:
    """How the cell can be run, by the name of the method."""
    return {"step": stepped, "unroll": unrolled} if overrides(cell, "unroll") else {"step": stepped}


def floats(tree: Any) -> list[Tensor]:
    """The tensors of floating point in it."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def weighed(tree: Any) -> Tensor:
    """All its tensors of floating point in one number, each entry by a weight of its own."""
    return torch.stack(
        [(t * noise(*t.shape, key=i, dtype=t.dtype)).sum() for i, t in enumerate(floats(tree))]
    ).sum()


def gradients(total: Tensor, by: Sequence[Tensor]) -> list[Tensor]:
    """The derivatives of it; zero by what it does not depend on."""
    if not total.requires_grad:
        return [torch.zeros_like(tensor) for tensor in by]
    return list(torch.autograd.grad(total, by, allow_unused=True, materialize_grads=True))


def parts(a: tuple[Tensor, State], b: tuple[Tensor, State]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Outputs and states of two results, side by side."""
    yield "the output", a[0], b[0]
    leaves = [tree_leaves(of[1]) for of in (a, b)]
    for number, (one, other) in enumerate(zip(*leaves, strict=True)):
        if isinstance(one, Tensor):
            yield f"tensor {number} of the last state", one.double(), other.double()


class Difference(NamedTuple):
    """Where two tensors differ first, and what stands there in both."""

    place: tuple[int, ...]
    found: float
    expected: float

    def __str__(self) -> str:
        names = ("time", "row", "unit") if len(self.place) == 3 else ("index",) * len(self.place)
        where = ", ".join(f"{name} {i}" for name, i in zip(names, self.place, strict=True))
        return f"at {where}: {self.found:.6g}, not {self.expected:.6g}"


def difference(found: Tensor, expected: Tensor, rtol: float = 1e-8) -> Difference | None:
    """The first place at which they differ by more than rounding. Where both are no number they agree."""
    if found.shape != expected.shape:
        raise ValueError(f"{tuple(found.shape)} is compared with {tuple(expected.shape)}")
    found, expected = found.detach(), expected.detach()
    scale = float(expected.abs().nan_to_num(0, 0, 0).max()) if expected.numel() else 0.0
    wrong = (~torch.isclose(found, expected, rtol=rtol, atol=rtol * scale + 1e-14, equal_nan=True)).nonzero()
    if not len(wrong):
        return None
    place = tuple(wrong[0].tolist())
    return Difference(place, float(found[place]), float(expected[place]))


def surroundings() -> dict[str, Any]:
    """What belongs to the whole process, by name."""
    state = np.random.get_state()  # noqa: NPY002
    return {
        "torch's generator": torch.random.get_rng_state().numpy().tobytes(),
        "NumPy's generator": (state[0], state[1].tobytes(), *state[2:]),  # type: ignore[index]
        "Python's generator": random.getstate(),
        "the default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "whether gradients are kept": torch.is_grad_enabled(),
        "whether algorithms are deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@contextmanager
def restored() -> Iterator[None]:
    """Whatever a cell does in here to the whole process is undone, and gradients are kept."""
    numpy, python, dtype = np.random.get_state(), random.getstate(), torch.get_default_dtype()  # noqa: NPY002
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    kept = torch.is_grad_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.set_grad_enabled(True)
            yield
    finally:
        np.random.set_state(numpy)  # noqa: NPY002
        random.setstate(python)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic)
        torch.set_grad_enabled(kept)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
