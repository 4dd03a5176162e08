"""What a check is, and the guesses that checks make."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from harness.checks import Check
from harness.checks.chance import at_chance, limit, naive_bayes
from harness.checks.check import Found
from harness.checks.dependency import measure
from harness.checks.sameness import digest
from harness.checks.training import with_cues_of
from harness.registry import find_task, task_classes
from harness.streams import Stream
from harness.task import Role


@dataclass(frozen=True)
class Thing:
    id: str = "thing@1"
    expected_failures: Mapping[str, str] = field(default_factory=dict)


def test_a_finding_is_what_was_found_with_its_check_and_subject():
    check = Check("size", "Things matter.", lambda thing: Found("failed", "2 long", {"length": 2}, "ab"))
    finding = check(Thing())
    assert (finding.subject, finding.check, finding.verdict) == ("thing@1", "size", "failed")
    assert finding.figures == {"length": 2}
    assert str(finding) == "thing@1: size failed: 2 long\n  ab\n  Things matter."
    assert str(check) == "size"


def test_a_failure_that_is_expected_is_one_with_its_reason():
    verdicts = iter(["failed", "failed", "passed"])
    check = Check("size", "Things matter.", lambda thing: Found(next(verdicts), "2 long", case="ab"))
    excused = Thing(expected_failures={"size": "it is to be long"})
    findings = [check(excused), check(Thing(expected_failures={"weight": "…"})), check(excused)]
    assert [finding.verdict for finding in findings] == ["expected", "failed", "passed"]
    assert findings[0].case == "it is to be long"


def test_what_a_subject_raises_is_a_failure_with_its_line():
    def run(thing):
        raise KeyError("no such thing")

    finding = Check("size", "Things matter.", run)(Thing())
    assert (finding.verdict, finding.measured) == ("failed", "raises")
    assert finding.case.startswith("test_check.py:")
    assert finding.case.endswith("KeyError: 'no such thing'")


def test_an_interrupt_comes_through():
    def run(thing):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Check("size", "Things matter.", run)(Thing())


def test_the_limit_is_reached_by_chance_once_in_a_thousand():
    rng = np.random.default_rng(0)
    for chance in (0.5, 1 / 16):
        shares = rng.binomial(6400, chance, 200_000) / 6400
        assert 0.0005 < np.mean(shares > limit(chance, 6400)) < 0.0016
    assert at_chance(np.arange(1000) % 2, 1 / 2)
    assert not at_chance(np.arange(1000) % 3 > 0, 1 / 2)


def test_naive_bayes_finds_what_a_feature_tells():
    rng = np.random.default_rng(0)
    features = rng.integers(5, size=(4000, 3))
    answers = np.where(rng.random(4000) < 0.7, features[:, 1] % 4, rng.integers(4, size=4000))
    guess = naive_bayes(features[:2000], answers[:2000], 5, 4)
    assert np.mean(guess(features[2000:]) == answers[2000:]) > 0.7
    blind = naive_bayes(features[:2000, :1], answers[:2000], 5, 4)
    most = np.bincount(answers).max() / 4000
    assert np.mean(blind(features[2000:, :1]) == answers[2000:]) < most + 0.05


@pytest.mark.parametrize("name", task_classes())
def test_cues_of_another_row_and_nothing_else(name):
    task = find_task(name)
    gap = task.min_gap + 4
    batch, donor = (task.batch("test", 0, gap, index, 32) for index in (0, 1))
    mixed = with_cues_of(batch, donor, gap, streaming=task.streaming)
    assert mixed.targets is batch.targets
    changed = (mixed.inputs != batch.inputs).reshape(*batch.roles.shape, -1).any(axis=2)
    if task.streaming:
        assert changed[: batch.queries[-1] - gap].any(axis=0).all()
        assert not changed[batch.queries[-1] - gap :].any()
    else:
        assert not changed[batch.roles != Role.CUE].any()
    for row in range(3):
        if not task.streaming:
            here, there = (each.inputs[each.roles[:, row] == Role.CUE, row] for each in (mixed, donor))
            common = min(len(here), len(there))  # rows may have cues of different lengths
            np.testing.assert_array_equal(here[:common], there[:common])
            assert np.isin(here, there).all()


def test_an_alternative_to_itself_is_refused():
    @dataclass(frozen=True)
    class Same(type(find_task("gap-latch"))):
        def alternatives(self, batch, row, t):
            return batch.inputs[t, row][None]

    task = Same()
    with pytest.raises(ValueError, match="the token at time 0 is an alternative to itself"):
        measure(task, task.batch("train", 0, 3, 0, 2), 0, Stream("test"))


def test_a_digest_is_of_the_samples_alone():
    assert digest(find_task("gap-latch")) == digest(find_task("gap-latch"))
    assert digest(find_task("gap-latch")) != digest(find_task("gap-parity"))
