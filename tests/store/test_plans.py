"""Plans: what is left of what somebody set out to train."""

import os
import socket
import time

import pytest

HERE = f"{socket.gethostname()}:{os.getpid()}:0"


@pytest.fixture
def requests(make):
    return [make.request(repetition=i) for i in range(5)]


@pytest.fixture
def costs(requests):
    return {request.key: 1.0 + i for i, request in enumerate(requests)}


def test_how_far_a_plan_is(store, make, requests, costs):
    make.record(store, make.result(requests[0]))
    time.sleep(0.01)
    number = store.plan("sweep.toml", HERE, costs)
    make.record(store, make.result(requests[1]), make.failed(requests[2]))
    attempt = store.claim(requests[3:4], owner=HERE).attempt
    store.beat({attempt: 0.25})
    found = store.plans()
    (plan,) = found.plans.itertuples()
    assert (plan.plan, plan.name, plan.owner, plan.alive) == (number, "sweep.toml", HERE, True)
    assert (plan.runs, plan.done, plan.failed, plan.running) == (5, 3, 1, 1)
    assert (plan.cost, plan.left, plan.made) == (15.0, 4.0 + 5.0, 2.0 + 3.0)
    (running,) = found.running.itertuples()
    assert (running.plan, running.attempt, running.runs) == (number, attempt, 1)
    assert (running.progress, running.cost) == (0.25, 4.0)
    assert plan.started <= running.started <= found.now
    assert store.claimed(costs) == {requests[3].key: HERE}


def test_it_is_alive_while_its_driver_is_or_somebody_trains_it(store, make, requests, costs):
    def alive():
        return bool(store.plans().plans["alive"][0])

    number = store.plan("sweep.toml", HERE, costs)
    assert alive()
    store.leave_plan(HERE)
    assert not alive()
    attempt = store.claim(requests[:1], owner="elsewhere:1:0").attempt
    assert alive()
    store.end(attempt, "interrupted")
    assert not alive()
    assert store.plan("sweep.toml", "elsewhere:1:0", costs) == number
    assert alive()
    store.leave_plan(HERE)  # who began it first
    assert alive()


def test_begun_again_it_is_the_same_and_counts_from_there(store, make, requests, costs):
    first = store.plan("sweep.toml", "elsewhere:1:0", costs)
    make.record(store, make.result(requests[1]))
    time.sleep(0.01)
    other = dict.fromkeys(reversed(costs), 7.0)
    assert store.plan("again.toml", HERE, other) == first
    (plan,) = store.plans().plans.itertuples()
    assert (plan.name, plan.owner, plan.cost, plan.made) == ("again.toml", HERE, 15.0, 0.0)


def test_what_is_finished_is_forgotten_with_the_next_plan(store, make, requests, costs):
    store.plan("small", HERE, {requests[0].key: 1.0})
    store.plan("large", HERE, costs)
    make.record(store, make.result(requests[0]))
    assert store.plans().plans["name"].tolist() == ["small", "large"]
    store.plan("next", HERE, {requests[4].key: 1.0})
    assert store.plans().plans["name"].tolist() == ["large", "next"]


def test_a_retracted_run_is_left_to_do(store, make, requests, costs):
    store.plan("sweep.toml", HERE, costs)
    make.record(store, make.result(requests[0]))
    store.retract(1, "faulty")
    (plan,) = store.plans().plans.itertuples()
    assert (plan.done, plan.left) == (0, 15.0)


def test_without_plans_there_are_none(store):
    found = store.plans()
    assert found.plans.empty
    assert found.running.empty
    assert {"plan", "alive", "running", "left"} <= set(found.plans.columns)
