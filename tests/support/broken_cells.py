"""Cells with one fault each, and the checks that each of them fails.

`BROKEN[name]` is a cell and the names of the checks, among `QUICK_CHECKS`, that find it broken.
"""

import ctypes
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from harness import Cell
from harness.registry import CellFile, CellSpec

BROKEN = {}


def broken(*checks):
    """Register a cell under the name of its class, with the checks that it fails."""

    def register(cls):
        BROKEN[cls.__name__] = CellSpec(CellFile(Path(__file__), cls.__name__), cls), set(checks)
        return cls

    return register


class Sound(Cell):
    """h_t = tanh(W x_t + U h_{t−1}), with nothing wrong in it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.randn(hidden_size, input_size) / input_size**0.5)
        self.U = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)

    def initial_state(self, batch_size, *, device, dtype):
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def mix(self, x, h):
        return torch.tanh(x @ self.W.T + h @ self.U.T)

    def step(self, x, h):
        h = self.mix(x, h)
        return h, h


class Linear(Sound):
    """h_t = h_{t−1} / 2 + W x_t, and all of it at once."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        del self.U

    def step(self, x, h):
        h = 0.5 * h + x @ self.W.T
        return h, h

    def unroll(self, x, h):
        outputs = []
        for x_t in x.unbind():
            y, h = self.step(x_t, h)
            outputs.append(y)
        return torch.stack(outputs), h


@broken("shapes")
class TimeOfAnotherType(Sound):
    """The time is a number of the default type, whatever type was asked for."""

    def initial_state(self, batch_size, *, device, dtype):
        return super().initial_state(batch_size, device=device, dtype=dtype), torch.zeros(batch_size)

    def step(self, x, state):
        h = self.mix(x, state[0])
        return h, (h, state[1] + 1)


@broken("shapes")
class StateOfPython(Sound):
    """The time is an integer of Python in the state: it is no tensor, and not counted."""

    def initial_state(self, batch_size, *, device, dtype):
        return super().initial_state(batch_size, device=device, dtype=dtype), 0

    def step(self, x, state):
        h, t = state
        h = self.mix(x, h) if t % 2 == 0 else 0.5 * h + x @ self.W.T
        return h, (h, t + 1)


@broken("shapes", "state")
class Growing(Sound):
    """Up to four states are kept, and one at first."""

    def initial_state(self, batch_size, *, device, dtype):
        return [super().initial_state(batch_size, device=device, dtype=dtype)]

    def step(self, x, states):
        h = self.mix(x, sum(states) / len(states))
        return h, [*states[-3:], h]


@broken("shapes")
class OneForAll(Sound):
    """A state without a batch, the same for all rows."""

    def initial_state(self, batch_size, *, device, dtype):
        h = super().initial_state(batch_size, device=device, dtype=dtype)
        return h, torch.ones(self.hidden_size, device=device, dtype=dtype)

    def step(self, x, state):
        h = self.mix(x, state[0]) * state[1]
        return h, (h, state[1])


@broken("unroll", "engines")
class AnotherUnroll(Linear):
    """Step by step it forgets half, at once a little more."""

    def unroll(self, x, h):
        outputs = []
        for x_t in x.unbind():
            h = 0.499 * h + x_t @ self.W.T
            outputs.append(h)
        return torch.stack(outputs), h


@broken("unroll", "engines")
class SwappedStepAndUnroll(Linear):
    """`unroll` gives the outputs before each step, and `step` the one after."""

    def unroll(self, x, h):
        y, last = super().unroll(x, h)
        return torch.cat([h[None], y[:-1]]), last


@broken("unroll", "state")
class UnrollForgetsTheState(Linear):
    """`unroll` begins anew, wherever it is called: nobody notices at the start of a sequence."""

    def unroll(self, x, h):
        return super().unroll(x, torch.zeros_like(h))


@broken("unroll", "engines")
class UnrollWithoutGradient(Linear):
    """Of what `unroll` carries on from one chunk of 8 steps to the next the gradient is cut off."""

    def unroll(self, x, h):
        outputs = []
        for chunk in x.split(8):
            y, h = super().unroll(chunk, h.detach())
            outputs.append(y)
        return torch.cat(outputs), h


@broken("unroll")
class ProjectionOverTime(Linear):
    """The projection subtracts the mean over what it is given, which is all steps where it is given all."""

    step, unroll = Cell.step, Cell.unroll

    def project(self, x):
        return x @ self.W.T - (x @ self.W.T).mean(dim=0) * (x.dim() == 3)

    def recur(self, pre, h):
        h = 0.5 * h + pre
        return h, h


@broken("unroll", "causality")
class PeeksAcrossAChunk(Linear):
    """The last step of a chunk of 64 sees the first input of the next."""

    def unroll(self, x, h):
        y, last = super().unroll(x, h)
        ends = torch.zeros(len(x), 1, 1, dtype=x.dtype)
        ends[63::64] = 1e-3
        return y + ends * (x @ self.W.T).roll(-1, dims=0), last


@broken("causality")
class PeeksWhenItCounts(Linear):
    """It sees what comes next while it is evaluated, and does not in training."""

    def unroll(self, x, h):
        y, last = super().unroll(x, h)
        return y if self.training else torch.cat([y[1:], y[-1:]]), last


@broken("rows")
class NormalisedOverTheBatch(Sound):
    """The mean over the batch is subtracted."""

    def step(self, x, h):
        h = self.mix(x, h)
        h = h - 0.1 * h.mean(dim=0)
        return h, h


@broken("rows")
class NormalisedOverTheBatchAtTest(Sound):
    """The same, while it is evaluated."""

    def step(self, x, h):
        h = self.mix(x, h)
        h = h if self.training else h - 0.1 * h.mean(dim=0)
        return h, h


@broken("memory", "state", "engines")
class LeftOver(Sound):
    """What it counts on `self` is never set back."""

    t = 0

    def step(self, x, h):
        self.t += 1
        h = self.mix(x, h) / self.t
        return h, h


@broken("state", "engines")
class HiddenOnSelf(Sound):
    """What it remembers is on `self`, and only set back at the start of a sequence."""

    def initial_state(self, batch_size, *, device, dtype):
        self.h = super().initial_state(batch_size, device=device, dtype=dtype)
        return torch.zeros(batch_size, 1, device=device, dtype=dtype)

    def step(self, x, state):
        self.h = self.mix(x, self.h)
        return self.h, state


@broken("state", "engines")
class Undercounted(Sound):
    """Of two memories one is in the state; the other is global, under a number that is in the state."""

    SHELF = []

    def initial_state(self, batch_size, *, device, dtype):
        h = super().initial_state(batch_size, device=device, dtype=dtype)
        self.SHELF[:] = [h]
        return h

    def step(self, x, h):
        h = self.mix(x, h + 0.5 * self.SHELF[0])
        self.SHELF[0] = h
        return h, h


@broken("state")
class OnAShelf(Sound):
    """The state is a number, and the memory is what stands under that number in this process."""

    SHELF = {}

    def shelved(self, h):
        number = float(h.detach().sum())
        self.SHELF[number] = h
        return torch.full((len(h), 1), number, dtype=torch.float64).to(h.dtype)

    def initial_state(self, batch_size, *, device, dtype):
        return self.shelved(super().initial_state(batch_size, device=device, dtype=dtype))

    def step(self, x, number):
        h = self.mix(x, self.SHELF[float(number[0, 0])])
        return h, self.shelved(h)


@broken("state", "engines")
class CountsOnSelf(Sound):
    """The time is on `self`."""

    def initial_state(self, batch_size, *, device, dtype):
        self.t = 0
        return super().initial_state(batch_size, device=device, dtype=dtype)

    def step(self, x, h):
        self.t += 1
        h = self.mix(x, h) if self.t % 3 else h
        return h, h


@broken("rows")
class NormalisedBehindZero(NormalisedOverTheBatch):
    """The same, behind a readout that starts at zero and so hides everything."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = nn.Parameter(torch.zeros(hidden_size))

    def step(self, x, h):
        y, h = super().step(x, h)
        return self.scale * y, h


@broken("determinism", "globals", "causality", "rows", "memory", "state", "derivative")
class Dropout(Sound):
    """Units are left out at random: nothing comes out twice."""

    def step(self, x, h):
        h = nn.functional.dropout(self.mix(x, h), 0.1)
        return h, h


@broken("globals")
class ReseedsAtEveryStep(Sound):
    """torch's global generator is seeded, so that the noise is always the same."""

    def step(self, x, h):
        torch.manual_seed(0)
        h = self.mix(x, h)
        return h, h


@broken("seed")
class ReseedsAtTheStart(Sound):
    """torch's global generator is seeded, so that all repetitions have the same weights."""

    def __init__(self, input_size, hidden_size):
        torch.manual_seed(0)
        super().__init__(input_size, hidden_size)


@broken("seed", "causality", "rows", "determinism", "state", "derivative", "globals", "vmap")
class WeightsOfNumPy(Sound):
    """Weights come from NumPy's global generator: the same repetition has others each time."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.tensor(np.random.randn(hidden_size, input_size), dtype=torch.float32))  # noqa: NPY002


@broken("finite")
class NothingAfter700(Sound):
    """From step 700 on its outputs are no numbers."""

    def initial_state(self, batch_size, *, device, dtype):
        h = super().initial_state(batch_size, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, device=device, dtype=torch.int64)

    def step(self, x, state):
        h, t = state
        h = torch.where(t[:, None] < 700, self.mix(x, h), torch.nan)
        return h, (h, t + 1)


@broken("finite")
class LongUnrollOverflows(Linear):
    """Divided by a power that is none after 150 steps."""

    def unroll(self, x, h):
        y, last = super().unroll(x, h)
        scale = 2.0 ** torch.arange(len(x), dtype=torch.float64).to(x.dtype)[:, None, None]
        return (y * scale) / scale, last


@broken("finite")
class SoftmaxByHand(Sound):
    """Exponentials of large inputs are no numbers."""

    def step(self, x, h):
        e = torch.exp(x @ self.W.T + h @ self.U.T)
        h = e / e.sum(dim=1, keepdim=True)
        return h, h


@broken("finite")
class RootOfZero(Sound):
    """The root of the first state, which is zero, has an infinite slope."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.s = nn.Parameter(torch.ones(hidden_size))

    def step(self, x, h):
        h = self.mix(x, h) + 0.1 * torch.sqrt((self.s * h) ** 2)
        return h, h


@broken("gradient")
class Idle(Sound):
    """A parameter that nothing reads."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.ones(3))


@broken("derivative")
class Detached(Sound):
    """The gradient ends at the step before."""

    def step(self, x, h):
        h = self.mix(x, h.detach())
        return h, h


@broken("masks")
class MaskedOnceOnly(Sound):
    """Half of W is set to zero at the start, and counted as zero: it learns nevertheless."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.mask = (torch.arange(input_size) < 3).expand(hidden_size, -1)
        with torch.no_grad():
            self.W.mul_(self.mask)

    def parameter_masks(self):
        return {"W": self.mask}


@broken("masks")
class MaskOfAnotherShape(Sound):
    """The mask is that of the transpose."""

    def parameter_masks(self):
        return {"W": torch.ones(self.input_size, self.hidden_size, dtype=torch.bool)}


@broken("inputs", "derivative")
class ChangesItsInput(Sound):
    """The input is scaled where it stands."""

    def step(self, x, h):
        h = self.mix(x, h)
        x.data.mul_(0.5)
        return h, h


@broken("inputs", "rows", "memory", "state", "derivative", "engines")
class RunningMean(Sound):
    """A buffer follows the inputs."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("mean", torch.zeros(hidden_size))

    def step(self, x, h):
        h = self.mix(x, h) - self.mean
        with torch.no_grad():
            self.mean.copy_(0.9 * self.mean + 0.1 * h.mean(dim=0))
        return h, h


@broken("globals")
class ChangesTheDefaultType(Sound):
    """All tensors that are made from now on are of double precision."""

    def __init__(self, input_size, hidden_size):
        torch.set_default_dtype(torch.float64)
        super().__init__(input_size, hidden_size)


@broken("globals")
class TakesAllThreads(Sound):
    """It sets how many threads there are."""

    def initial_state(self, batch_size, *, device, dtype):
        torch.set_num_threads(3)
        return super().initial_state(batch_size, device=device, dtype=dtype)


@broken("budget")
class IgnoresTheWidth(Cell):
    """It has the units that it wants, and repeats them."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inner = Sound(input_size, 4)

    def initial_state(self, batch_size, *, device, dtype):
        return self.inner.initial_state(batch_size, device=device, dtype=dtype)

    def step(self, x, h):
        y, h = self.inner.step(x, h)
        return y.repeat(1, self.hidden_size // 4 + 1)[:, : self.hidden_size], h


@broken("budget")
class NarrowerIsLarger(Sound):
    """An odd width has more parameters than the even one above it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.b = nn.Parameter(torch.randn(hidden_size if hidden_size % 2 == 0 else 9 * hidden_size))

    def step(self, x, h):
        h = self.mix(x, h) + self.b.view(-1, self.hidden_size).sum(dim=0)
        return h, h


class OtherwiseCompiled(Sound):
    """It does something else while it is compiled."""

    def step(self, x, h):
        h = self.mix(x, h)
        h = 0.5 * h if torch.compiler.is_compiling() else h
        return h, h


class Deaf(Sound):
    """Nothing wrong in it but that it remembers nothing: no cell could learn less."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        del self.U

    def step(self, x, h):
        return torch.tanh(x @ self.W.T), h


class Hangs(Sound):
    """It never comes to an end while it is evaluated."""

    def evaluated(self):
        while True:
            time.sleep(1)

    def step(self, x, h):
        if not self.training:
            self.evaluated()
        return super().step(x, h)


class Exits(Hangs):
    """It ends its process, without a word."""

    def evaluated(self):
        os._exit(3)


class Crashes(Hangs):
    """It reads from where there is nothing, as a faulty extension would."""

    def evaluated(self):
        ctypes.string_at(0)


BROKEN_APART = {
    name: CellSpec(CellFile(Path(__file__), cls.__name__), cls)
    for name, cls in {"hangs": Hangs, "exited with code 3": Exits, "ended by signal 11": Crashes}.items()
}
"""By what is said of them, cells that would take along who checks them, at the check `causality`."""
BROKEN_IN_TRAINING = {
    name: CellSpec(CellFile(Path(__file__), cls.__name__), cls)
    for name, cls in {"learns": Deaf, "compile": OtherwiseCompiled}.items()
}
"""By the name of the check that is not among `QUICK_CHECKS`, and finds them broken."""
SOUND = [CellSpec(CellFile(Path(__file__), cls.__name__), cls) for cls in (Sound, Linear)]
