"""Cells as users write them, well and badly: a file's text by the name of the file."""

from pathlib import Path

_HEAD = """\
import torch
from torch import nn

from harness import Cell


class Plugin(Cell):
    \"\"\"A cell of a test.\"\"\"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.randn(hidden_size, input_size) / input_size**0.5)
        self.U = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)
        self.more()

    def more(self):
        pass

    def initial_state(self, batch_size, *, device, dtype):
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def mix(self, x, h):
        return torch.tanh(x @ self.W.T + h @ self.U.T)
"""

_BODIES = {
    # What fits the population's program.
    "step_only": """
    def step(self, x, h):
        h = torch.where(h > 0, self.mix(x, h), 0.5 * h + self.mix(x, -h))
        return h, h
""",
    "learned_start": """
    def more(self):
        self.h0 = nn.Parameter(torch.randn(self.hidden_size))
        self.c0 = nn.Parameter(torch.randn(1))

    def initial_state(self, batch_size, *, device, dtype):
        c = (self.c0 * torch.ones(batch_size, self.hidden_size, device=device, dtype=dtype)).sigmoid()
        return {"h": self.h0.expand(batch_size, -1), "c": c}

    def step(self, x, state):
        c = 0.9 * state["c"] + 0.1 * self.mix(x, state["h"])
        h = torch.tanh(c) * state["h"]
        return h, {"h": h, "c": c}
""",
    "counting": """
    def initial_state(self, batch_size, *, device, dtype):
        zero = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        never = torch.zeros(batch_size, dtype=torch.bool, device=device)
        return zero, torch.zeros(batch_size, dtype=torch.int64, device=device), never

    def step(self, x, state):
        h, t, odd = state
        h = torch.where(odd[:, None], self.mix(x, h), h / (1 + t[:, None]) + self.mix(x, 0 * h))
        return h, (h, t + 1, ~odd)
""",
    "unused_parameter": """
    def more(self):
        self.idle = nn.Parameter(torch.ones(3))

    def step(self, x, h):
        h = self.mix(x, h)
        return h, h
""",
    "in_place": """
    def step(self, x, h):
        new = h + self.mix(x, h)
        new[:, 0] = 0.25
        new.mul_(0.5).add_(h)
        return new, new
""",
    "recent": """
    def initial_state(self, batch_size, *, device, dtype):
        return torch.zeros(batch_size, 4, self.hidden_size, device=device, dtype=dtype)

    def step(self, x, recent):
        h = self.mix(x, recent.mean(dim=1))
        recent = recent.roll(1, dims=1)
        recent[:, 0] = h
        return recent.amax(dim=1), recent
""",
    "projected": """
    def project(self, x):
        return x @ self.W.T

    def recur(self, pre, h):
        z = torch.sigmoid(pre)
        h = z * h + (1 - z) * torch.tanh(pre)
        return h, h
""",
    "unrolling": """
    def step(self, x, h):
        h = 0.5 * h + x @ self.W.T
        return torch.tanh(h), h

    def unroll(self, x, h):
        T = len(x)
        t = torch.arange(T + 1, dtype=x.dtype, device=x.device)
        decay = (0.5 ** (t[1:, None] - t[None, 1:])).tril()
        h = torch.einsum("ts,sbh->tbh", decay, x @ self.W.T) + 0.5 ** t[1:, None, None] * h
        return torch.tanh(h), h[-1]
""",
    "unrolling_module": """
    def more(self):
        self.gru = nn.GRU(self.input_size, self.hidden_size)

    def step(self, x, h):
        y, h = self.gru(x[None], h[None])
        return y[0], h[0]

    def unroll(self, x, h):
        y, h = self.gru(x, h[None])
        return y, h[0]
""",
    # Each repetition has buffers and frozen weights of its own.
    "frozen": """
    def more(self):
        self.U.requires_grad_(False)
        self.register_buffer("mask", torch.rand(self.hidden_size) > 0.5)
        self.register_buffer("scale", torch.rand(self.hidden_size))

    def step(self, x, h):
        h = torch.where(self.mask, self.mix(x, h), self.scale * h + x @ self.W.T)
        return h, h
""",
    # What does not: it trains one member at a time.
    "item": """
    def step(self, x, h):
        h = self.mix(x, h) * min(1.0, h.abs().sum().item() + 0.5)
        return h, h
""",
    "branch": """
    def step(self, x, h):
        h = self.mix(x, h)
        if h.sum() > 0:
            h = 0.5 * h
        return h, h
""",
    "growing": """
    def initial_state(self, batch_size, *, device, dtype):
        return [torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)]

    def step(self, x, states):
        h = self.mix(x, sum(states) / len(states))
        return h, [*states[-3:], h]
""",
    "in_place_into_new": """
    def step(self, x, h):
        new = torch.zeros(h.shape, dtype=h.dtype, device=h.device)
        new[:, 1:] = self.mix(x, h)[:, 1:]
        return new, new
""",
    "python_state": """
    def initial_state(self, batch_size, *, device, dtype):
        return torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype), 0

    def step(self, x, state):
        h, t = state
        h = self.mix(x, h) if t % 2 == 0 else 0.5 * h + x @ self.W.T
        return h, (h, t + 1)
""",
    # What fails.
    "fuse": """
    REACH = 0.045

    def more(self):
        self.w = nn.Parameter(torch.zeros(self.hidden_size))

    def step(self, x, h):
        left = torch.sqrt(self.REACH - self.w.abs().amax())  # NaN once a weight has come so far
        h = self.mix(x, h) + self.w
        return h * left / left.detach(), h
""",
    "raising": """
    def step(self, x, h):
        h = self.mix(x, h)
        raise RuntimeError("the step is out of order\\nand says so at length")
""",
    "ill_fitting": """
    def step(self, x):
        return self.mix(x, x), x
""",
    "one_way": """
    def step(self, x, h):
        h = Way.apply(self.mix(x, h))
        return h, h


class Way(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("there is no way back")
""",
    "exiting": """
    def step(self, x, h):
        import sys

        sys.exit(3)
""",
    "vanishing": """
    def step(self, x, h):
        import os

        os._exit(3)
""",
    "hanging": """
    def step(self, x, h):
        import time

        time.sleep(60)
""",
    "hanging_when_built": """
    def more(self):
        while True:
            pass

    def step(self, x, h):
        h = self.mix(x, h)
        return h, h
""",
    "exiting_when_loaded": """
    def step(self, x, h):
        h = self.mix(x, h)
        return h, h


import os

os._exit(4)
""",
    "segfaulting": """
    def step(self, x, h):
        import ctypes

        ctypes.string_at(0)
""",
    "hoarding": """
    def step(self, x, h):
        import time

        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (32 << 20)))
            time.sleep(0.02)
""",
    "flooding": """
    def step(self, x, h):
        import os

        for number in range(100_000):
            print("a line that nobody reads, number", number)
        os._exit(5)
""",
    "forking": """
    def step(self, x, h):
        import os
        import time

        for _ in range(2):
            child = os.fork()
            if child == 0:
                time.sleep(600)
            print("left behind:", child)
        os._exit(6)
""",
    "forking_and_hanging": """
    def step(self, x, h):
        import os
        import time

        os.fork()
        time.sleep(600)
""",
    "printing": """
    def step(self, x, h):
        print("a cell speaks")
        h = self.mix(x, h)
        return h, h
""",
    "stateless": """
    def initial_state(self, batch_size, *, device, dtype):
        raise KeyError("no state")

    def step(self, x, h):
        h = self.mix(x, h)
        return h, h
""",
    "unbuildable": """
    def more(self):
        self.nothing.of = "this kind"

    def step(self, x, h):
        h = self.mix(x, h)
        return h, h
""",
}

FITTING = (
    "step_only",
    "learned_start",
    "counting",
    "unused_parameter",
    "in_place",
    "recent",
    "projected",
    "frozen",
    "unrolling",
)
UNFITTING = ("item", "branch", "growing", "in_place_into_new", "python_state")


def write(folder: Path, name: str) -> str:
    """Write the cell's file into the folder; its path."""
    path = folder / f"{name}.py"
    path.write_text(_HEAD + _BODIES[name])
    return str(path)


def line(name: str, text: str) -> int:
    """The line of the cell's file that holds this text."""
    lines = (_HEAD + _BODIES[name]).splitlines()
    (found,) = (number for number, content in enumerate(lines, 1) if text in content)
    return found
