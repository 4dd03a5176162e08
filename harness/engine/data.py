"""Batches of a population: made once for each repetition, shared by the members that differ in learning rate
only.

Letters: P members, R repetitions, T time, B batch, Q queries, C classes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from harness.task import Split, Task


@dataclass(frozen=True)
class MemberBatch:
    """A batch of every member.

    inputs: (P, T, B) or (P, T, B, D); targets: (P, Q, B); queries: (Q,) time indices; members: (P,) whose
    they are; candidates: (C,) token numbers of the classes, where they are words to be predicted
    """

    inputs: Tensor
    targets: Tensor
    queries: list[int]
    members: Tensor
    candidates: Tensor | None = None

    def of(self, members: Tensor) -> "MemberBatch":
        """The batches of some members."""
        return replace(
            self,
            inputs=self.inputs[members],
            targets=self.targets[members],
            members=self.members[members],
        )

    def following(self) -> Tensor:
        """The token after each, (P, T, B): after a query its answer; −100, to be ignored, after the last."""
        assert self.candidates is not None
        following = self.inputs.roll(-1, dims=1)
        following[:, -1] = -100
        following[:, self.queries] = self.candidates[self.targets]
        return following


class Source:
    """Draws batches of a task for members of these repetitions."""

    def __init__(
        self, task: Task, repetitions: Sequence[int], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.task, self.device, self.dtype = task, device, dtype
        self.distinct = sorted(set(repetitions))
        words = task.candidates
        self.candidates = None if words is None else torch.as_tensor(words, device=device)
        self.place = torch.tensor([self.distinct.index(r) for r in repetitions], device=device)

    def draw(self, split: Split, gap: int, index: int, size: int) -> MemberBatch:
        """Batch number `index` of each member's repetition."""
        batches = [self.task.batch(split, repetition, gap, index, size) for repetition in self.distinct]
        inputs = self._tensor(np.stack([b.inputs for b in batches]))
        targets = self._tensor(np.stack([b.targets for b in batches]))
        members = torch.arange(len(self.place), device=self.device)
        queries = batches[0].queries.tolist()
        return MemberBatch(inputs[self.place], targets[self.place], queries, members, self.candidates)

    def _tensor(self, array: np.ndarray) -> Tensor:
        dtype = torch.int64 if np.issubdtype(array.dtype, np.integer) else self.dtype
        tensor = torch.as_tensor(array, dtype=dtype)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def ahead(self, requests: Iterator[tuple[Split, int, int, int]]) -> Iterator[MemberBatch]:
        """The batches of these requests, each drawn by a thread while the one before is in use."""
        with ThreadPoolExecutor(1) as pool:
            coming = None
            for request in requests:
                now, coming = coming, pool.submit(self.draw, *request)
                if now is not None:
                    yield now.result()
            if coming is not None:
                yield coming.result()
