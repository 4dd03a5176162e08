import json
import shlex
from collections import Counter
from dataclasses import FrozenInstanceError
from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.protocol import (
    PROTOCOLS,
    QUICK,
    QUICK_MIXED,
    STANDARD,
    STANDARD_MIXED,
    Protocol,
    command,
    find_protocol,
)

min_gaps = st.integers(0, 300)


def test_the_named_protocols_are_frozen():
    """A change to any of these is a new version."""
    quick = {
        "name": "quick", "version": 1, "train": "fixed", "gaps": (2, 4, 8, 16, 32, 64), "max_gap": 64,
        "updates": 1000, "lr": (3e-3, 1e-2), "budget": 8_000, "hidden_size": None, "batch_size": 64,
        "rows": 1024, "clip": 1.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
        "solved_accuracy": 0.999, "solved_checks": 3,
    }  # fmt: skip
    gaps = (2, 4, 8, 16, 32, 64, 128, 256)
    assert QUICK.content() == quick
    assert QUICK_MIXED.content() == quick | {"name": "quick-mixed", "train": "mixed", "gaps": gaps}
    standard = quick | {
        "name": "standard", "gaps": gaps, "max_gap": 256, "updates": 3000, "lr": (1e-3, 3e-3, 1e-2),
        "budget": 32_000,
    }  # fmt: skip
    far = (*gaps, 512, 1024)
    assert STANDARD.content() == standard
    assert STANDARD_MIXED.content() == standard | {"name": "standard-mixed", "train": "mixed", "gaps": far}
    assert [p.repetitions for p in PROTOCOLS.values()] == [2, 2, 10, 10]
    with pytest.raises(FrozenInstanceError):
        QUICK.updates = 2000
    names = ["quick", "quick-mixed", "standard", "standard-mixed"]
    assert {name: p.id for name, p in PROTOCOLS.items()} == {name: f"{name}@1" for name in names}


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({}, "quick@1"),
        ({"repetitions": 10}, "quick@1"),
        ({"updates": 1000}, "quick@1"),
        ({"updates": 500}, "quick@1[updates=500]"),
        ({"lr": (0.001,), "updates": 500}, "quick@1[lr=0.001,updates=500]"),
        ({"lr": (0.0012345678,)}, "quick@1[lr=0.0012345678]"),
        ({"hidden_size": 32}, "quick@1[hidden_size=32]"),
        ({"gaps": (2, 128)}, "quick@1[gaps=2/128]"),
    ],
)
def test_a_varied_protocol_is_called_what_it_is(changes, id):
    varied = QUICK.vary(**changes)
    assert varied.id == id
    assert (varied.content() == QUICK.content()) == (id == "quick@1")


@pytest.mark.parametrize(
    "changes", [{}, {"gaps": (2, 7), "updates": 5, "lr": (0.003, 0.1), "hidden_size": 8}]
)
@pytest.mark.parametrize("named", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_command_asks_for_the_protocol_that_it_names(named, changes):
    from harness.cli.run import command as run

    varied = named.vary(**changes)
    _, name, *arguments = shlex.split(command("gru", ["all"], varied.id, 3))
    asked = run.make_context(name, arguments).params
    given = {key: asked[key] for key in ("gaps", "updates", "lr", "hidden_size") if asked[key] is not None}
    assert find_protocol(asked["protocol"], asked["train"]).vary(**given).id == varied.id
    assert (asked["cells"], asked["tasks"], asked["repetitions"]) == (("gru",), ("all",), 3)


def test_content_means_its_protocol_after_a_way_through_json():
    for protocol in (*PROTOCOLS.values(), QUICK.vary(gaps=(2, 7), hidden_size=9)):
        assert Protocol.of(json.loads(json.dumps(protocol.content()))) == protocol


def test_division_follows_the_width():
    assert QUICK.division == "closed"
    assert QUICK.vary(hidden_size=32).division == "open"


def test_fixed_trains_at_every_gap_scored_and_mixed_up_to_its_own_maximum():
    assert QUICK.vary(gaps=(4, 512)).max_gap == 512
    assert QUICK_MIXED.vary(gaps=(4, 512)).max_gap == 64
    assert not QUICK.vary(gaps=(4, 512)).extrapolated(512)
    assert [gap for gap in QUICK_MIXED.gaps if QUICK_MIXED.extrapolated(gap)] == [128, 256]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gaps": ()}, "gaps=: give at least one gap, none below 0"),
        ({"gaps": (-1, 2)}, "gaps=-1/2: give at least one gap, none below 0"),
        ({"gaps": (4, 2)}, "gaps=4/2: must rise"),
        ({"gaps": (2, 2)}, "gaps=2/2: must rise"),
        ({"lr": ()}, "lr=: must be above 0"),
        ({"lr": (0.0,)}, "lr=0: must be above 0"),
        ({"lr": (-0.1,)}, "lr=-0.1: must be above 0"),
        ({"lr": (float("inf"),)}, "lr=inf: must be above 0"),
        ({"lr": (float("nan"),)}, "lr=nan: must be above 0"),
        ({"lr": (0.1, 0.01)}, "lr=0.1/0.01: must rise"),
        ({"updates": 0}, "updates=0: must be at least 1"),
        ({"budget": 0}, "budget=0: must be at least 1"),
        ({"batch_size": 0}, "batch_size=0: must be at least 1"),
        ({"rows": -5}, "rows=-5: must be at least 1"),
        ({"repetitions": 0}, "repetitions=0: must be at least 1"),
        ({"hidden_size": 0}, "hidden_size=0: must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes, message):
    with pytest.raises(UserError) as caught:
        QUICK.vary(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("min_gap", "gaps"),
    [
        (0, (2, 4, 8, 16, 32, 64)),
        (2, (2, 4, 8, 16, 32, 64)),
        (3, (3, 4, 8, 16, 32, 64)),
        (16, (16, 32, 64)),
        (20, (20, 32, 64)),
        (64, (64,)),
        (100, (100,)),
    ],
)
def test_the_curve_starts_at_the_smallest_gap(min_gap, gaps):
    assert QUICK.evaluated(min_gap) == gaps


@given(min_gaps)
def test_evaluated_gaps_are_reachable_rise_and_leave_none_out(min_gap):
    gaps = QUICK_MIXED.evaluated(min_gap)
    assert list(gaps) == sorted(set(gaps))
    assert gaps[0] == max(min_gap, QUICK_MIXED.gaps[0])
    assert set(gaps) >= {gap for gap in QUICK_MIXED.gaps if gap >= min_gap}
    assert set(gaps) <= {min_gap, *QUICK_MIXED.gaps}


@given(min_gaps, st.integers(0, 10**9))
def test_a_training_gap_is_within_the_range_and_always_the_same(min_gap, index):
    gap = QUICK_MIXED.training_gap("gap-copy@1", min_gap, index)
    assert max(min_gap, 1) <= gap <= max(64, min_gap)
    other = QUICK_MIXED.vary(repetitions=7, lr=(0.1,), updates=5, hidden_size=3)
    assert other.training_gap("gap-copy@1", min_gap, index) == gap


@pytest.mark.parametrize("min_gap", [0, 12])
def test_training_gaps_are_log_uniform(min_gap):
    n, low = 5000, max(min_gap, 1)
    counts = Counter(QUICK_MIXED.training_gap("gap-copy@1", min_gap, index) for index in range(n))
    assert set(counts) == set(range(low, 65))
    for gap, count in counts.items():
        p = log((gap + 1) / gap) / log(65 / low)
        assert abs(count - n * p) < 4.5 * sqrt(n * p * (1 - p)), gap


def test_training_gaps_differ_between_tasks():
    draw = lambda task: [QUICK_MIXED.training_gap(task, 0, index) for index in range(20)]  # noqa: E731
    assert draw("gap-copy@1") != draw("gap-copy@1[payload=5]")


def test_finding():
    assert find_protocol("quick") is QUICK
    assert find_protocol("quick@1") is QUICK
    assert find_protocol("quick", "fixed") is QUICK
    assert find_protocol("quick", "mixed") is QUICK_MIXED
    assert find_protocol("quick-mixed", "fixed") is QUICK
    assert find_protocol("standard", "mixed") is STANDARD_MIXED
    assert find_protocol("standard-mixed", "fixed") is STANDARD


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quik", "unknown protocol 'quik': did you mean quick"),
        ("quick@2", "protocol quick is at version 1; version 2 is not here"),
        ("quick[updates=5]", "vary protocol quick by options such as --updates, not in its name"),
    ],
)
def test_a_protocol_that_is_not_there(name, message):
    with pytest.raises(UserError) as caught:
        find_protocol(name)
    assert str(caught.value).startswith(message)
