"""Batches of a population: made once for each repetition, shared by the members that differ in learning rate
only.

Letters: P members, R repetitions, T time, B batch, Q queries.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.task import Split, Task


@dataclass(frozen=True)
class MemberBatch:
    """A batch of every member.

    inputs: (P, T, B) or (P, T, B, D); targets: (P, Q, B); queries: (Q,) time indices; members: (P,) whose
    they are
    """

    inputs: Tensor
    targets: Tensor
    queries: list[int]
    members: Tensor

    def of(self, members: Tensor) -> "MemberBatch":
        """The batches of some members."""
        return MemberBatch(self.inputs[members], self.targets[members], self.queries, self.members[members])


class Source:
    """Draws batches of a task for members of these repetitions."""

    def __init__(
        self, task: Task, repetitions: Sequence[int], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.task, self.device, self.dtype = task, device, dtype
        self.distinct = sorted(set(repetitions))
        self.place = torch.tensor([self.distinct.index(r) for r in repetitions], device=device)

    def draw(self, split: Split, gap: int, index: int, size: int) -> MemberBatch:
        """Batch number `index` of each member's repetition."""
        batches = [self.task.batch(split, repetition, gap, index, size) for repetition in self.distinct]
        inputs = self._tensor(np.stack([b.inputs for b in batches]))
        targets = self._tensor(np.stack([b.targets for b in batches]))
        members = torch.arange(len(self.place), device=self.device)
        return MemberBatch(inputs[self.place], targets[self.place], batches[0].queries.tolist(), members)

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
