"""A population's batches: each repetition's own, drawn once, in order, ahead of time."""

import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from harness.engine.data import Source
from harness.registry import find_task
from harness.task import Batch

COPY = find_task("gap-copy")
CPU = torch.device("cpu")
REPETITIONS = [3, 0, 3, 1]


@dataclass(frozen=True)
class Watched(type(COPY)):
    """gap-copy that notes what was drawn, and by which thread."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "drawn", [])
        object.__setattr__(self, "threads", set())

    def batch(self, *place) -> Batch:
        self.drawn.append(place)
        self.threads.add(threading.current_thread())
        return COPY.batch(*place)


def source(task=COPY) -> Source:
    return Source(task, REPETITIONS, CPU, torch.float32)


def test_each_member_has_the_batch_of_its_repetition():
    batch = source().draw("train", 5, 7, 16)
    for i, repetition in enumerate(REPETITIONS):
        expected = COPY.batch("train", repetition, 5, 7, 16)
        np.testing.assert_array_equal(batch.inputs[i], expected.inputs)
        np.testing.assert_array_equal(batch.targets[i], expected.targets)
        assert batch.queries == expected.queries.tolist()
    assert not torch.equal(batch.inputs[0], batch.inputs[1])


def test_a_repetition_is_drawn_once():
    task = Watched()
    source(task).draw("test", 5, 0, 16)
    assert task.drawn == [("test", r, 5, 0, 16) for r in (0, 1, 3)]


def test_some_members_have_their_own_batches():
    batch = source().draw("train", 5, 7, 16)
    part = batch.of(torch.tensor([2, 1]))
    assert torch.equal(part.inputs, batch.inputs[[2, 1]])
    assert torch.equal(part.targets, batch.targets[[2, 1]])
    assert part.queries == batch.queries


def test_what_is_drawn_ahead_is_what_is_drawn_directly():
    requests = [("train", gap, index, 4) for index, gap in enumerate([5, 2, 9, 2, 0], 1)]
    ahead = list(source().ahead(iter(requests)))
    assert len(ahead) == len(requests)
    for found, request in zip(ahead, requests, strict=True):
        expected = source().draw(*request)
        assert torch.equal(found.inputs, expected.inputs)
        assert torch.equal(found.targets, expected.targets)
        assert found.queries == expected.queries
    assert list(source().ahead(iter([]))) == []


def test_the_next_batch_is_drawn_by_another_thread_and_not_many():
    task = Watched()
    requests = (("train", 2, index, 4) for index in range(1, 100))
    batches = source(task).ahead(requests)
    for _ in range(3):
        next(batches)
    batches.close()
    assert len(task.drawn) <= 3 * 5
    assert threading.current_thread() not in task.threads


def test_the_thread_ends_with_the_batches():
    before = threading.active_count()
    batches = source().ahead(iter([("train", 2, index, 4) for index in range(1, 100)]))
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_a_batch_that_cannot_be_drawn_is_an_error_here():
    class Broken(Watched):
        def batch(self, *place) -> Batch:
            if place[3] == 2:
                raise RuntimeError("no such row")
            return super().batch(*place)

    batches = source(Broken()).ahead(iter([("train", 2, index, 4) for index in range(1, 5)]))
    next(batches)
    with pytest.raises(RuntimeError, match="no such row"):
        next(batches)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reals_have_the_populations_precision(dtype, task):
    batch = Source(task, [0], CPU, dtype).draw("train", 2, 1, 4)
    real = batch.inputs.dim() == 4
    assert batch.inputs.dtype == batch.targets.dtype == (dtype if real else torch.int64)
