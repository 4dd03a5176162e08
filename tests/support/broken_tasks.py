"""Tasks with one bug each, as seen in published benchmarks, and the checks that each of them fails.

`BROKEN[name]` is a task and the names of the checks, among those that train nothing, that find it broken.
"""

from dataclasses import replace

import numpy as np

from harness.registry import find_task, task_classes
from harness.streams import Stream
from harness.task import Classes, Reals, Role, Task

task_classes()
COPY, RECALL, SELECT, PARITY, ADD, LATCH = (
    type(find_task(f"gap-{name}")) for name in ("copy", "recall", "select", "parity", "add", "latch")
)
BROKEN: dict[str, tuple[Task, set[str]]] = {}


def broken(*checks):
    """Register a task under the name of its class, with the checks that it fails."""

    def register(cls):
        cls.name = cls.__name__.lower()
        BROKEN[cls.__name__] = cls(), set(checks)
        return cls

    return register


@broken("balance", "layout", "dependency", "shortcuts")
class BlanksScored(COPY):
    """Every position is scored, the blanks too: a constant answer gets most of them."""

    @property
    def output(self):
        return Classes((*super().output.names, "-"))

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        blanks = np.full((3 + gap, size), 8)
        return replace(
            batch, targets=np.concatenate([blanks, batch.targets]), queries=np.arange(len(batch.inputs))
        )

    def solve(self, batch):
        recalled = super().solve(batch)
        return np.concatenate([np.full((len(batch.queries) - 3, recalled.shape[1]), 8), recalled])


@broken("streams", "shortcuts")
class TestIsTrain(LATCH):
    """One seed for all splits."""

    def batch(self, split, repetition, gap, index, size):
        return super().batch("train", repetition, gap, index, size)


@broken("bytes")
class GlobalGenerator(LATCH):
    """Drawn from NumPy's global generator: what is drawn depends on all that was drawn before."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        batch.inputs[1:-1] = 2 + np.random.randint(8, size=(gap, size))  # noqa: NPY002
        return batch


@broken("streams", "shortcuts")
class SeededByIndex(LATCH):
    """The global generator, seeded by the number of the batch: training sees the batches of the test."""

    def batch(self, split, repetition, gap, index, size):
        self.require(gap)
        np.random.seed(index)  # noqa: NPY002
        key = int(np.random.randint(1 << 31))  # noqa: NPY002
        return self.sample(Stream(key), Stream(index), gap, size)


@broken("bytes")
class FillerUnseeded(LATCH):
    """The filler comes from a generator without a seed."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        batch.inputs[1:-1] = 2 + np.random.default_rng().integers(8, size=(gap, size))
        return batch


@broken("oracle", "dependency", "question")
class FillerRepeatsKeys(RECALL):
    """Keys stand in the filler too, and what follows one of them is no value."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        filler = batch.roles == Role.FILLER
        filler &= stream.integers(4, filler.shape) == 0
        batch.inputs[filler] = 8 + stream.integers(8, int(filler.sum()))
        return batch


@broken("question")
class MarkersAreZeros(ADD):
    """The filler and the token that asks are both all zeros."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        batch.inputs[np.isin(batch.roles, [Role.FILLER, Role.QUESTION])] = 0
        return batch

    def alternatives(self, batch, row, t):
        found = super().alternatives(batch, row, t)
        return found if batch.roles[t, row] in (Role.CUE, Role.PREFIX) else found[:0]


@broken("oracle", "dependency")
class WithReplacement(SELECT):
    """Positions are drawn with replacement: now and then a symbol falls onto another."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        times = np.sort(stream.integers(10, (3, size)), axis=0)
        times[-1] = 9
        rows = np.arange(size)
        batch.inputs[:10] = 8 + stream.integers(8, (10, size))
        batch.inputs[times, rows] = batch.targets
        batch.roles[:10] = Role.PREFIX
        batch.roles[times, rows] = Role.CUE
        return batch


@broken("clock")
class TimeIsAnInput(ADD):
    """A third feature of every token is its time."""

    @property
    def inputs(self):
        return Reals(3)

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        time = np.arange(len(batch.inputs))[:, None, None] / len(batch.inputs)
        time = np.broadcast_to(time, (*batch.roles.shape, 1))
        return replace(batch, inputs=np.concatenate([batch.inputs, time], axis=2))

    def solve(self, batch):
        return super().solve(replace(batch, inputs=batch.inputs[..., :2]))

    def alternatives(self, batch, row, t):
        found = super().alternatives(replace(batch, inputs=batch.inputs[..., :2]), row, t)
        return np.concatenate([found, np.full((len(found), 1), batch.inputs[t, row, 2])], axis=1)

    def render(self, batch, row):
        return super().render(replace(batch, inputs=batch.inputs[..., :2]), row)


@broken("clock")
class FillerCounts(LATCH):
    """The filler is the alphabet, again and again."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        batch.inputs[1:-1] = 2 + np.arange(gap)[:, None] % 8
        return batch


@broken("balance", "shortcuts")
class Unbalanced(LATCH):
    """A 1 is asked for more often than a 0."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        bit = (stream.integers(3, (1, size)) > 0).astype(np.int64)
        batch.inputs[0] = bit[0]
        return replace(batch, targets=bit)


@broken("balance")
class Independent(LATCH):
    """Answers are even on the whole, but not within a batch."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        bit = stream.integers(2, (1, size))
        batch.inputs[0] = bit[0]
        return replace(batch, targets=bit)


@broken("balance")
class ExtrasFirst(COPY):
    """The answers of a batch are even, what is over goes to the first ones."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        payload = np.arange(size)[stream.permutations(3, size)] % 8
        batch.inputs[:3] = payload
        return replace(batch, targets=payload)


@broken("dependency")
class OffByOne(PARITY):
    """A token of filler more than asked for."""

    def sample(self, stream, layout, gap, size):
        return super().sample(stream, layout, gap + 1, size)


@broken("dependency", "shortcuts")
class LaterCue(COPY):
    """The last symbol of the payload stands one token later, as filler: the gap is shorter than asked for."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        if gap:
            batch.inputs[[2, 3]] = batch.inputs[[3, 2]]
        return batch


@broken("dependency", "shortcuts")
class CueUnmarked(SELECT):
    """The first symbols are taken for prefix."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        batch.roles[:9] = Role.PREFIX
        return batch


@broken("oracle", "dependency")
class OracleWrong(PARITY):
    """The oracle leaves out the last number."""

    def solve(self, batch):
        return (super().solve(batch) - batch.inputs[3]) % 2


@broken("oracle", "dependency")
class OracleReadsTargets(PARITY):
    """The oracle knows the answers."""

    def solve(self, batch):
        return batch.targets


@broken("shortcuts")
class DecoyTells(RECALL):
    """The value of the first other key is most often that of the one asked for."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        decoys = (batch.roles == Role.DECOY) & (batch.inputs < 8)
        t, row = decoys.argmax(axis=0), np.arange(size)
        tells = stream.integers(4, size) > 0
        batch.inputs[t, row] = np.where(tells, batch.targets[0], batch.inputs[t, row])
        return batch


@broken("shortcuts")
class FillerTells(LATCH):
    """The tokens of the filler are most often those that go with the bit."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        tells = stream.integers(4, (gap, size)) > 0
        batch.inputs[1:-1] = np.where(tells, 2 + batch.targets, batch.inputs[1:-1])
        return batch


@broken("shortcuts", "balance")
class LengthTells(LATCH):
    """What is longer was a 1."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        bit = layout.integers(2, 1)[0]
        batch.inputs[0] = bit
        before = np.full((2 * bit, size), 2)
        return replace(
            batch,
            inputs=np.concatenate([before, batch.inputs]),
            targets=np.full((1, size), bit),
            queries=batch.queries + 2 * bit,
            roles=np.concatenate([before.astype(np.int8) * 0, batch.roles]),
        )


@broken("mentions")
class LastMentionedTells(RECALL):
    """The pair asked for is always the last."""

    text = True

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, 6 * (size + 100))
        last = np.flatnonzero((batch.roles == Role.DECOY)[-gap - 1 :].sum(axis=0) == 0)
        rows = [iter(last[batch.targets[0, last] == answer]) for answer in range(8)]
        taken = stream.balanced(8, size)
        some = [next(rows[answer]) for answer in taken]
        return replace(batch, inputs=batch.inputs[:, some], targets=taken[None], roles=batch.roles[:, some])


@broken("layout")
class EveryRepetitionItsLength(LATCH):
    """The length is drawn from the repetition's own stream."""

    def sample(self, stream, layout, gap, size):
        batch = super().sample(stream, layout, gap, size)
        before = np.full((int(stream.integers(50, 1)[0]), size), 2)
        return replace(
            batch,
            inputs=np.concatenate([before, batch.inputs]),
            queries=batch.queries + len(before),
            roles=np.concatenate([before.astype(np.int8) * 0, batch.roles]),
        )


@broken("layout")
class AnyGap(LATCH):
    """A gap that cannot be is taken for the smallest."""

    def batch(self, split, repetition, gap, index, size):
        return super().batch(split, repetition, max(gap, 0), index, size)


@broken("shortcuts")
class ChanceTooLow(LATCH):
    """A constant answer is right more often than chance is said to be."""

    def chance(self, gap):
        return 1 / 4
