"""The checks pass what is sound, and find each broken cell for its reason, and for no other."""

from pathlib import Path

import plugin_cells
import pytest
from broken_cells import BROKEN, BROKEN_IN_TRAINING, SOUND

from harness.checks import CELL_CHECKS, QUICK_CHECKS, Specimen, check_cell
from harness.checks.cells import RUNS, SLOW_CHECKS
from harness.checks.specimen import surroundings
from harness.registry import CellFile, CellSpec, find_cell

BY_NAME = {check.name: check for check in (*CELL_CHECKS, *SLOW_CHECKS)}


def failed(spec, checks=QUICK_CHECKS):
    specimen = Specimen(spec)
    findings = [check(specimen) for check in checks]
    return [finding for finding in findings if finding.verdict == "failed"]


@pytest.mark.parametrize("name", BROKEN)
def test_every_fault_is_found_by_its_checks_and_by_no_other(name):
    spec, checks = BROKEN[name]
    before = surroundings()
    findings = failed(spec)
    assert {finding.check for finding in findings} == checks, "\n".join(map(str, findings))
    assert all(finding.case for finding in findings)
    assert surroundings() == before


@pytest.mark.parametrize("spec", SOUND, ids=lambda spec: spec.cls.__name__)
def test_what_they_are_made_of_is_sound(spec):
    assert not failed(spec)


@pytest.mark.parametrize("name", ["learned_start", "counting", "recent", "frozen"])
def test_what_is_unusual_and_right_is_sound(name, tmp_path):
    """A start that is learned; integers and truth values; two dimensions; buffers and frozen weights."""
    assert not failed(find_cell(plugin_cells.write(tmp_path, name)))


def test_there_is_a_broken_cell_for_every_check():
    found = set().union(*(checks for _, checks in BROKEN.values()))
    assert found == {check.name for check in QUICK_CHECKS if check is not RUNS}


CASES = {
    ("TimeOfAnotherType", "shapes"): "float64, batch 3: the state has a tensor of torch.float32 in it",
    ("OneForAll", "shapes"): "a tensor (8,) in it, whose first dimension is not the batch",
    ("Growing", "state"): "8 numbers at first, 16 after 1 steps",
    ("AnotherUnroll", "unroll"): "T = 1, from a later state: the output of unroll differs",
    ("UnrollWithoutGradient", "unroll"): "T = 16: the gradient by x of unroll differs",
    ("ProjectionOverTime", "unroll"): "T = 1: the output of project differs",
    ("PeeksAcrossAChunk", "causality"): "another input from time 64 on, at time 63",
    ("PeeksWhenItCounts", "causality"): "unroll, evaluating, ",
    ("NormalisedOverTheBatchAtTest", "rows"): "step, evaluating: row 0 of 4, among other rows",
    ("LeftOver", "memory"): "comes again after another one of 5 steps, at time 0",
    ("HiddenOnSelf", "state"): "1 steps, then the rest in a fresh process",
    ("ReseedsAtTheStart", "seed"): "whether its seed was 1 or 2",
    ("ReseedsAtEveryStep", "globals"): "step changes torch's generator",
    ("ChangesTheDefaultType", "globals"): "__init__ changes the default dtype",
    ("TakesAllThreads", "globals"): "initial_state changes the number of threads",
    ("NothingAfter700", "finite"): "T = 1000: the output at time 700 is nan",
    ("LongUnrollOverflows", "finite"): "unroll, T = 129: the output at time 128 is ",
    ("SoftmaxByHand", "finite"): "T = 20, inputs × 10000",
    ("RootOfZero", "finite"): "T = 1: the gradient by s is not finite",
    ("Idle", "gradient"): "3 of 3 entries of idle have none",
    ("Detached", "derivative"): "along a line through x: gradient",
    ("MaskedOnceOnly", "masks"): "entry (0, 3) of W, a structural zero, has the gradient",
    ("ChangesItsInput", "inputs"): "step changes the input at time 0, row 0",
    ("HiddenOnSelf", "engines"): "the loss of member 0 by eager is",
    ("NarrowerIsLarger", "budget"): "8,322 at width 73, 7,918 at width 74",
    ("IgnoresTheWidth", "budget"): "admits no width whose parameters fit, or fill, a budget of 8,000",
}


@pytest.mark.parametrize(("name", "check"), CASES)
def test_what_is_shown_is_the_fault(name, check):
    (finding,) = failed(BROKEN[name][0], [BY_NAME[check]])
    assert CASES[name, check] in finding.case


def test_a_cell_that_learns_nothing_is_found():
    (finding,) = failed(BROKEN_IN_TRAINING["learns"], CELL_CHECKS)
    assert finding.check == "learns"
    assert finding.figures["accuracy"] < 0.6
    assert finding.case == "learning rates 0.01 and 0.03, chance is 0.5"
    assert not failed(SOUND[0], [BY_NAME["learns"]])


def test_a_cell_that_compiling_changes_is_found():
    (finding,) = failed(BROKEN_IN_TRAINING["compile"], CELL_CHECKS)
    assert finding.check == "compile"
    assert "the output, at index 0, index 0: " in finding.case


def test_what_fits_the_engine_and_what_does_not_is_told_and_is_no_failure(tmp_path):
    def tags(name):
        specimen = Specimen(find_cell(plugin_cells.write(tmp_path, name)))
        findings = [BY_NAME[check](specimen) for check in ("vmap", "compile", "engines")]
        return [f.verdict for f in findings], findings[0].figures["vmap"], findings[1].figures["compile"]

    assert tags("step_only") == (["reported", "reported", "passed"], True, True)
    assert tags("branch") == (["reported", "reported", "reported"], False, False)
    assert tags("unrolling_module")[0] == ["reported", "reported", "passed"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("raising", "raise RuntimeError", "RuntimeError: the step is out of order"),
        ("stateless", "raise KeyError", "KeyError: 'no state'"),
        ("unbuildable", "self.nothing.of", "AttributeError: 'Plugin' object has no attribute 'nothing'"),
        ("one_way", "raise RuntimeError", "RuntimeError: there is no way back"),
        ("exiting", "sys.exit(3)", "SystemExit: 3"),
        (
            "ill_fitting",
            "def step(self, x):",
            "TypeError: Plugin.step() takes 2 positional arguments but 3 were given",
        ),
    ],
)
def test_of_what_does_not_run_one_finding_says_why(tmp_path, name, text, message):
    (finding,) = check_cell(find_cell(plugin_cells.write(tmp_path, name)))
    assert (finding.check, finding.verdict) == ("runs", "failed")
    assert finding.case.endswith(f"{name}.py:{plugin_cells.line(name, text)}: {message}")


def test_a_failure_that_a_cell_expects_is_one_with_its_reason():
    class Excused(BROKEN["Idle"][0].cls):
        expected_failures = {"gradient": "it is there to be looked at"}

    specimen = Specimen(CellSpec(CellFile(Path(__file__)), Excused))
    finding = BY_NAME["gradient"](specimen)
    assert (finding.verdict, finding.case) == ("expected", "it is there to be looked at")


def test_all_checks_are_made_in_their_order():
    told = []
    findings = check_cell(SOUND[0], told.append)
    assert told == [finding.check for finding in findings]
    assert told == [check.name for check in CELL_CHECKS]
    assert {finding.verdict for finding in findings} == {"passed", "reported"}
    figures = {finding.check: finding.figures for finding in findings}
    assert figures["state"] == {"state_floats": 8}
    assert figures["vmap"] == {"vmap": True}


@pytest.mark.slow
def test_the_compiler_is_tried_where_it_is_asked_for(require):
    require("compiler")
    findings = check_cell(SOUND[0], slow=True)
    assert (findings[-1].check, findings[-1].verdict) == ("compiled", "passed"), findings[-1]
    assert findings[-1].figures == {"engines": ["reference", "compiled"]}
