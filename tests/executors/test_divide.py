"""Work is divided so that every worker has some, and nothing is lost."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.executors import Job, divide


def job(cell: str, members: int, cost: float) -> Job:
    return Job(cell, "", "gap-copy@1", {}, 4, 2, tuple((r, 0.01) for r in range(members)), cost)


sizes = st.lists(st.tuples(st.integers(1, 12), st.floats(1.0, 1e9)), max_size=8)


@given(sizes, st.integers(1, 12))
def test_members_and_cost_are_preserved_and_workers_have_work(sizes, workers):
    jobs = [job(str(number), *size) for number, size in enumerate(sizes)]
    parts = divide(jobs, workers)
    for one in jobs:
        of_one = [part for part in parts if part.cell == one.cell]
        members = [member for part in of_one for member in part.members]
        assert sorted(members) == sorted(one.members)
        assert sum(part.cost for part in of_one) == pytest.approx(one.cost)
        for part in of_one:
            assert part.members
            assert part.cost / len(part.members) == pytest.approx(one.cost / len(one.members))
            assert replace(part, members=one.members, cost=one.cost) == one
    assert len(parts) >= min(workers, sum(len(one.members) for one in jobs))
    assert len(parts) <= max(workers, len(jobs))
    assert [part.cost for part in parts] == sorted((part.cost for part in parts), reverse=True)


def test_the_most_expensive_is_split_first_and_only_as_far_as_needed():
    parts = divide([job("dear", 4, 400.0), job("cheap", 4, 4.0)], 3)
    assert [(p.cell, len(p.members), p.cost) for p in parts] == [
        ("dear", 2, 200.0), ("dear", 2, 200.0), ("cheap", 4, 4.0),
    ]  # fmt: skip


def test_a_single_member_is_not_split_but_others_are():
    parts = divide([job("single", 1, 1e9), job("pair", 2, 2.0)], 3)
    assert [(p.cell, len(p.members)) for p in parts] == [("single", 1), ("pair", 1), ("pair", 1)]


def test_nothing_is_divided_into_nothing():
    assert divide([], 4) == []
