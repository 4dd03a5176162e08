"""Training and scoring a population."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.cell import Cell, count_parameters
from harness.engine.choice import Choice
from harness.engine.data import MemberBatch, Source
from harness.engine.engines import Untraceable, out_of_memory
from harness.engine.optimizer import StackedAdam
from harness.engine.population import Check, Count, Population, Progress, Trained
from harness.engine.settings import Settings
from harness.engine.stack import StackedModel
from harness.model import build
from harness.protocol import CHECK_ROWS, CHECKS, SCORE_BATCH
from harness.task import Split

SCORED: tuple[Split, ...] = ("validation", "test")
BLOCK_BYTES = 4 << 20
"""What a block of members may touch in a step on a CPU: about what its nearest caches hold."""


def train(
    population: Population,
    settings: Settings,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda line: None,
) -> list[Trained]:
    """Train and score every member; one result each, in their order.

    report: told of every update; note: told in one line of a slower way that had to be taken
    An exception that the cell raises comes through.
    """
    return _Training(population, settings, report, note).run()


class _Training:
    """One population on its way. The tensors stay on the device; they are read at the checks only."""

    def __init__(
        self,
        population: Population,
        settings: Settings,
        report: Callable[[Progress], None],
        note: Callable[[str], None],
    ) -> None:
        self.population, self.settings, self.report, self.note = population, settings, report, note
        members, device, dtype = population.members, settings.device, settings.dtype
        repetitions = [m.repetition for m in members]
        models = {
            r: build(population.spec, population.task, population.hidden_size, r).to(device, dtype)
            for r in set(repetitions)
        }
        self.source = Source(population.task, repetitions, device, dtype)
        self.trained = [Trained() for _ in members]
        self.in_a_row = [0] * len(members)
        cell = models[repetitions[0]].cell
        self.choice = Choice(settings, cell, note)
        self.model = StackedModel([models[r] for r in repetitions], self.choice)
        rates = torch.tensor([m.lr for m in members], device=device, dtype=dtype)
        self.adam = StackedAdam(self.model.start.clone(), rates, population.protocol)
        self.block_size = _block_size(cell, len(members), population.protocol.batch_size, device)
        self.losses, self.since = torch.zeros_like(self.adam.rates[:, 0]), 0
        """The losses (P,), summed over the updates since the last check."""
        self.loss: float | None = None
        self.accuracy: float | None = None
        self.seconds = 0.0
        """What the updates before an interruption took."""
        self.done = self._go_on()
        self.blocks = self._blocks(self._training())

    def run(self) -> list[Trained]:
        start = time.perf_counter() - self.seconds
        protocol, checkpoint = self.population.protocol, self.settings.checkpoint
        every = max(1, protocol.updates // CHECKS)
        for update, batch in enumerate(self.source.ahead(self._requests()), self.done + 1):
            began = time.perf_counter()
            self.losses += self._attempt(lambda: self._update(update, batch))  # noqa: B023
            self.since += 1
            self.choice.took(time.perf_counter() - began, batch.inputs.shape[1], protocol.updates - update)
            if update % every == 0 or update == protocol.updates:
                self.loss, self.accuracy = self._check(update, self.losses / self.since)
                self.losses, self.since = torch.zeros_like(self.losses), 0
                self._drop()
            training = len(self._training())
            self.report(
                Progress(update, protocol.updates, training, len(self.trained), self.loss, self.accuracy)
            )
            if not training:
                break
            if checkpoint and checkpoint.due():
                checkpoint.save(self._state(update, time.perf_counter() - start))
        self._score()
        seconds = (time.perf_counter() - start) / len(self.trained)
        for trained in self.trained:
            trained.seconds = seconds
            trained.engine = self.choice.engine.name
        return self.trained

    def _requests(self) -> Iterator[tuple[Split, int, int, int]]:
        protocol = self.population.protocol
        for update in range(self.done + 1, protocol.updates + 1) if self._training() else ():
            yield "train", self.population.training_gap(update), update, protocol.batch_size

    def _state(self, update: int, seconds: float) -> dict[str, Any]:
        """All that is needed to go on after this update as if nothing had happened."""
        rows = self.adam.rows() | {"losses": self.losses}
        fate = ("outcome", "diverged_at", "updates", "solved_at")
        return {
            "update": update,
            "seconds": seconds,
            "engine": self.choice.settled,
            "block_size": self.block_size,
            "since": self.since,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "tensors": {name: tensor.cpu() for name, tensor in rows.items()},
            "fates": [{name: getattr(t, name) for name in fate} for t in self.trained],
            "checks": [[list(check) for check in t.checks] for t in self.trained],
            "in_a_row": self.in_a_row,
        }

    def _go_on(self) -> int:
        """Take over the state that a checkpoint has kept, if there is one; the updates that are done."""
        if self.settings.checkpoint is None:
            return 0
        state, bad = self.settings.checkpoint.load()
        for line in bad:
            self.note(line)
        if state is None:
            return 0
        self.note(f"goes on after update {state['update']:,}")
        rows = state["rows"]
        tensors = self.adam.rows() | {"losses": self.losses}
        for name, tensor in tensors.items():
            tensor.copy_(state["tensors"][name][rows])
        self.trained = [
            Trained(**state["fates"][row], checks=[Check(*check) for check in state["checks"][row]])
            for row in rows
        ]
        self.in_a_row = [state["in_a_row"][row] for row in rows]
        self.since, self.loss, self.accuracy = state["since"], state["loss"], state["accuracy"]
        self.seconds, self.block_size = state["seconds"], min(self.block_size, state["block_size"])
        if self.settings.engine == "auto" and state["engine"]:
            self.choice.settle(state["engine"])
        return int(state["update"])

    def _update(self, update: int, batch: MemberBatch) -> Tensor:
        """One update of every member still training; the losses (P,)."""
        gradient = torch.zeros_like(self.adam.parameters)
        losses = torch.zeros_like(self.adam.rates[:, 0])
        for block in self.blocks:
            flat = self.adam.parameters[block].requires_grad_()
            of_block = self.model.losses(flat, batch.of(block), self.population.task.output)
            (gradient[block],) = torch.autograd.grad(of_block.sum(), flat)
            losses[block] = of_block.detach()
        self.adam.step(update, losses, gradient)
        return losses

    def _check(self, update: int, losses: Tensor) -> tuple[float | None, float | None]:
        """Note who diverged and who has solved the task; the means over those who trained until now."""
        protocol, gaps = self.population.protocol, self.population.trained_gaps
        counts = [self._count("validation", gap, -update, max(1, CHECK_ROWS // len(gaps))) for gap in gaps]
        n = sum(n for n, _ in counts)
        accuracies = (torch.stack([right for _, right in counts]).sum(dim=0) / n).tolist()
        seen = []
        for i in self._training():
            trained = self.trained[i]
            trained.updates = update
            if diverged_at := int(self.adam.diverged_at[i]):
                trained.outcome, trained.diverged_at, trained.updates = "diverged", diverged_at, diverged_at
                continue
            trained.checks.append(Check(update, float(losses[i]), accuracies[i]))
            seen.append(trained.checks[-1])
            self.in_a_row[i] = self.in_a_row[i] + 1 if accuracies[i] >= protocol.solved_accuracy else 0
            if self.in_a_row[i] == protocol.solved_checks:
                trained.solved_at = update
                self.adam.training[i] = False
        if not seen:
            return None, None
        return sum(c.loss for c in seen) / len(seen), sum(c.accuracy for c in seen) / len(seen)

    def _score(self) -> None:
        """Count the right answers of every member that did not diverge, at every gap of both splits."""
        p = self.population
        for split in SCORED:
            for gap in p.scored_gaps:
                n, right = 0, torch.zeros(len(self.trained), dtype=torch.int64, device=self.settings.device)
                for index, first in enumerate(range(0, p.protocol.rows, SCORE_BATCH)):
                    asked, counted = self._count(split, gap, index, min(SCORE_BATCH, p.protocol.rows - first))
                    n, right = n + asked, right + counted
                for trained, n_correct in zip(self.trained, right.tolist(), strict=True):
                    if trained.outcome == "finished":
                        trained.counts = {**trained.counts, (split, gap): Count(n, n_correct)}

    def _count(self, split: Split, gap: int, index: int, rows: int) -> tuple[int, Tensor]:
        """How many answers a batch asks of a member, and how many each gave right (P,)."""
        batch = self.source.draw(split, gap, index, rows)
        right = torch.zeros(len(self.trained), dtype=torch.int64, device=self.settings.device)

        def count() -> Tensor:
            for block in self._blocks(range(len(self.trained))):
                flat, output = self.adam.parameters[block], self.population.task.output
                right[block] = self.model.correct(flat, batch.of(block), output)
            return right

        return batch.targets[0].numel(), self._attempt(count)

    def _training(self) -> list[int]:
        """The members that have neither diverged nor solved their task, as of the last check."""
        return [i for i, t in enumerate(self.trained) if t.diverged_at is None and t.solved_at is None]

    def _drop(self) -> None:
        """Go on without the members that are done, where that saves blocks, or half of the only one."""
        left = self._training()
        if self.choice.engine.name != "compiled" and 0 < 2 * len(left) <= self.block_size:
            self.block_size = len(left)
        self.blocks = self._blocks(left)

    def _blocks(self, members: Sequence[int]) -> list[Tensor]:
        """The members in blocks; where traced all of one size, the last filled up with its last member."""
        size = self.block_size
        blocks = [list(members[i : i + size]) for i in range(0, len(members), size)]
        if self.choice.engine.name in ("eager", "compiled"):  # traced for one size
            blocks = [block + block[-1:] * (size - len(block)) for block in blocks]
        return [torch.tensor(block, device=self.settings.device) for block in blocks]

    def _attempt(self, work: Callable[[], Tensor]) -> Tensor:
        """Do it; where machine or cell do not allow this way, go on in a slower one."""
        while True:
            try:
                return work()
            except Untraceable as error:
                self.choice.fall_back(str(error))
            except RuntimeError as error:
                if self.block_size == 1 or not out_of_memory(error):
                    raise
                self.block_size = (self.block_size + 1) // 2
                self.note(f"goes on in blocks of {self.block_size} for lack of memory")
            self.blocks = self._blocks(self._training())


def _block_size(cell: Cell, members: int, rows: int, device: torch.device) -> int:
    """How many members run at once: all on a GPU; on a CPU as many as its caches hold, evenly divided."""
    if device.type != "cpu":
        return members
    width = sum(p.shape[0] for p in cell.parameters() if p.dim() > 1)
    size = 4 * (2 * count_parameters(cell) + rows * (2 * width + 6 * cell.hidden_size))
    blocks = math.ceil(members * size / BLOCK_BYTES)
    return math.ceil(members / blocks)
