"""From a request to results in the store, and from there on."""

import json
from dataclasses import replace
from pathlib import Path

import plugin_cells
import pytest
import torch
from here import Here

import harness
from harness.engine import Member, Population, Settings, train
from harness.errors import UserError
from harness.executors import Failed
from harness.protocol import QUICK
from harness.registry import ROOT, cell_files, find_cell, find_task, suite
from harness.runner import ATTEMPTS, Event, Results
from harness.store import Store

SMALL = {"updates": 3, "gaps": [2, 3], "lr": [0.01], "hidden_size": 4}
ID = "quick@1[gaps=2/3,hidden_size=4,lr=0.01,updates=3]"


@pytest.fixture
def here(monkeypatch) -> Here:
    pool = Here()
    monkeypatch.setattr("harness.runner.find_executor", pool)
    return pool


@pytest.fixture
def run(here, tmp_path, monkeypatch):
    """harness.run, small, into a store of the test's own; what was run before is forgotten."""
    monkeypatch.chdir(tmp_path)

    def small(cell="rnn", task="gap-copy", **other) -> Results:
        here.jobs.clear()
        return harness.run(cell=cell, task=task, **{**SMALL, **other})

    return small


@pytest.fixture
def really(here) -> None:
    """What is run is trained: else it is made up."""
    here.real = True


@pytest.mark.usefixtures("really")
def test_what_comes_out_is_what_the_engine_makes_of_each_member(run):
    results = run(lr=[0.003, 0.01], repetitions=2)
    task, spec = find_task("gap-copy"), find_cell("rnn")
    protocol = QUICK.vary(updates=3, gaps=(2, 3), lr=(0.003, 0.01), hidden_size=4)
    members = tuple(Member(r, lr) for lr in (0.003, 0.01) for r in (0, 1))
    runs, scores = results.runs(), results.scores()
    assert len(runs) == 8
    assert len(scores) == 16
    for gap in (2, 3):
        trained = train(
            Population(spec, task, protocol, 4, gap, members), Settings(torch.device("cpu"), engine="eager")
        )
        for member, expected in zip(members, trained, strict=True):
            of_member = (runs["gap"] == gap) & (runs["repetition"] == member.repetition)
            (row,) = runs[of_member & (runs["lr"] == member.lr)].to_dict("records")
            assert (row["outcome"], row["updates"], row["hidden_size"]) == ("finished", 3, 4)
            assert (row["cell_parameters"], row["state_floats"]) == (4 * (32 + 4 + 1), 4)
            assert row["seconds"] > 0
            assert row["provenance"]["torch"] == torch.__version__
            assert row["provenance"]["engine"] == "eager"
            assert {"release", "commit", "dirty"} < set(row["provenance"])
            counted = scores[scores["run"] == row["run"]].set_index("split")
            for split in ("validation", "test"):
                count = expected.counts[split, gap]
                assert tuple(counted.loc[split, ["gap", "n", "n_correct"]]) == (gap, *count)
                assert counted.loc[split, "chance"] == 1 / 8
            curve = results.store.learning([row["run"]])
            assert curve["update"].tolist() == [1, 2, 3]
            assert curve["loss"].tolist() == pytest.approx([c.loss for c in expected.checks])
            assert curve["accuracy"].tolist() == [c.accuracy for c in expected.checks]
            accuracy = counted.loc["test", "n_correct"] / counted.loc["test", "n"]
            assert row["gap_auc"] == pytest.approx((accuracy - 1 / 8) / (7 / 8))


def test_the_same_request_again_trains_nothing(run, here):
    first = run(repetitions=2)
    assert here.members == [(g, r, 0.01) for g in (2, 3) for r in (0, 1)]
    second = run(repetitions=2)
    assert here.jobs == []
    (before,), (after,) = first.rows(), second.rows()
    assert (before.pop("reused"), after.pop("reused")) == (0, 4)
    assert before == after


def test_one_more_repetition_trains_only_that(run, here):
    run(repetitions=2)
    (row,) = run(repetitions=3).rows()
    assert here.members == [(2, 2, 0.01), (3, 2, 0.01)]
    assert (row["runs"], row["repetitions"], row["reused"]) == (6, 3, 4)
    (row,) = run(repetitions=1).rows()
    assert here.jobs == []
    assert (row["runs"], row["repetitions"], row["reused"]) == (2, 1, 2)


def test_members_of_a_gap_train_as_one_population_and_the_longest_first(run, here):
    run(repetitions=2, lr=[0.003, 0.01])
    assert [(job.gap, len(job.members)) for job in here.jobs] == [(3, 4), (2, 4)]
    assert [job.cost for job in here.jobs] == [3 * 4 * (2 * 3 + gap) for gap in (3, 2)]


@pytest.mark.parametrize(
    "other",
    [
        {"updates": 4}, {"lr": [0.02]}, {"hidden_size": 5}, {"gaps": [2, 4]}, {"train": "mixed"},
        {"task": "gap-copy[payload=2]"},
    ],
    ids=str,
)  # fmt: skip
def test_another_protocol_or_task_is_never_mixed_with_this_one(run, here, other):
    run(repetitions=1)
    results = run(repetitions=1, **other)
    (row,) = results.rows()
    assert row["reused"] == 0
    assert here.jobs
    assert row["runs"] == (1 if other == {"train": "mixed"} else 2)
    assert (row["protocol"], row["task"]) != (ID, "gap-copy@1")
    assert set(results.frame()["protocol"]) == {row["protocol"]}


def test_what_is_varied_is_not_under_the_protocols_name(run):
    store = run(repetitions=1).store
    assert set(store.runs()["protocol"]) == {ID}
    assert store.scores(protocol="quick@1").empty


def test_varying_to_what_the_protocol_says_is_the_protocol(run, here, monkeypatch):
    """And its own width is that of its budget."""
    small = replace(QUICK, updates=3, gaps=(2, 3), max_gap=3, lr=(0.01,), budget=600, repetitions=1)
    monkeypatch.setitem(harness.protocol.PROTOCOLS, "quick", small)
    named = harness.run("rnn", "gap-copy", repetitions=1)
    assert here.jobs
    here.jobs.clear()
    again = harness.run("rnn", "gap-copy", updates=3, gaps=[3, 2, 2], lr=[0.01, 0.01], repetitions=1)
    assert here.jobs == []
    (row,) = again.rows()
    assert row == {**named.rows()[0], "reused": 2}
    assert (row["protocol"], row["division"], row["hidden_size"]) == ("quick@1", "closed", 13)
    assert row["cell_parameters"] == 13 * (32 + 13 + 1) <= 600 < 14 * (32 + 14 + 1)


def test_an_interruption_keeps_what_is_finished_and_is_no_failure(run, here):
    here.fate = {1: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        run(repetitions=2)
    store = Store.open("results.db")
    assert len(store.runs()) == 2
    assert store.attempts()["outcome"].tolist() == ["finished", "interrupted"]
    here.fate = {0: KeyboardInterrupt()}
    for _ in range(ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            run(repetitions=2)
    here.fate = {}
    (row,) = run(repetitions=2).rows()
    assert here.members == [(2, 0, 0.01), (2, 1, 0.01)]
    assert (row["runs"], row["reused"]) == (4, 2)


def killed(reason="the worker was ended by signal 9") -> Failed:
    return Failed("killed", reason, 2, 1.5, {})


def test_what_was_killed_is_unfinished_and_the_others_finish(run, here):
    here.fate = {0: killed()}
    results = run(repetitions=1)
    assert results.unfinished == ["rnn · gap-copy · gap 3: killed: the worker was ended by signal 9"]
    (row,) = results.rows()
    assert (row["runs"], [point["gap"] for point in row["curve"]]) == (1, [2])
    here.fate = {}
    results = run(repetitions=1)
    assert results.unfinished == []
    assert here.members == [(3, 0, 0.01)]


def test_what_fails_again_and_again_is_given_up_until_retried(run, here):
    for outcome in ("killed", "out-of-memory", "killed"):
        here.fate = {0: killed()._replace(outcome=outcome)}
        results = run(repetitions=1, gaps=[3])
        assert len(here.jobs) == 1
        assert results.rows() == []
    results = run(repetitions=1, gaps=[3])
    assert here.jobs == []
    assert results.unfinished == [
        f"rnn on gap-copy@1: 1 runs are given up after {ATTEMPTS} attempts (the last: killed); "
        "--retry tries them again"
    ]
    assert results.rows() == []
    here.fate = {}
    results = run(repetitions=1, gaps=[3], retry=True)
    assert results.unfinished == []
    assert here.members == [(3, 0, 0.01)]
    assert len(results.rows()) == 1


def test_giving_up_one_run_gives_up_no_other(run, here):
    for _ in range(ATTEMPTS):
        here.fate = {0: killed()}
        run(repetitions=1, gaps=[3])
    here.fate = {}
    results = run(repetitions=2, gaps=[3])
    assert here.members == [(3, 1, 0.01)]
    assert len(results.unfinished) == 1


@pytest.mark.usefixtures("really")
def test_a_crash_is_a_result_with_its_reason(run, here, tmp_path):
    results = run(plugin_cells.write(tmp_path, "raising"), repetitions=2)
    assert results.unfinished == []
    runs = results.runs()
    line = plugin_cells.line("raising", "raise RuntimeError")
    assert set(runs["reason"]) == {f"raising.py:{line}: RuntimeError: the step is out of order"}
    assert set(runs["outcome"]) == {"crashed"}
    assert set(runs["outcome_update"]) == {1}
    assert set(runs["updates"]) == {0}
    (row,) = results.rows()
    assert (row["runs"], row["failed"], row["gap_auc"]["value"]) == (4, 4, 0.0)
    assert {point["accuracy"] for point in row["curve"]} == {1 / 8}
    run(plugin_cells.write(tmp_path, "raising"), repetitions=2)
    assert here.jobs == []


@pytest.mark.usefixtures("really")
def test_divergence_is_a_result_with_its_update(run, here, tmp_path):
    cell = plugin_cells.write(tmp_path, "fuse")
    results = run(cell, updates=15, lr=[1e-5, 1e-2], gaps=[2], repetitions=2)
    runs = results.runs().set_index(["lr", "repetition"]).sort_index()
    assert runs["outcome"].tolist() == ["finished"] * 2 + ["diverged"] * 2
    assert runs.loc[1e-5, "outcome_update"].isna().all()
    assert runs.loc[1e-2, "outcome_update"].between(5, 15).all()
    scores = results.scores()
    assert (scores["n_correct"].isna() == (scores["outcome"] == "diverged")).all()
    assert (scores["n"] == 3 * QUICK.rows).all()
    (row,) = results.rows()
    assert (row["runs"], row["failed"]) == (4, 2)
    run(cell, updates=15, lr=[1e-5, 1e-2], gaps=[2], repetitions=2)
    assert here.jobs == []


@pytest.mark.usefixtures("really")
def test_mixed_gaps_are_one_training_scored_at_all(run, here):
    results = run(train="mixed", gaps=[2, 4, 100], repetitions=1)
    (job,) = here.jobs
    assert job.gap is None
    (row,) = results.rows()
    assert row["protocol"] == "quick-mixed@1[gaps=2/4/100,hidden_size=4,lr=0.01,updates=3]"
    assert row["lr"] == 0.01
    assert [(p["gap"], p["extrapolated"]) for p in row["curve"]] == [(2, False), (4, False), (100, True)]
    assert {"trained", "extrapolated"} < set(row["gap_auc"])
    assert results.runs()["gap"].isna().all()


def test_a_changed_file_is_another_cell(run, here, tmp_path):
    path = Path(plugin_cells.write(tmp_path, "step_only"))
    first = run(str(path), repetitions=1)
    path.write_text(path.read_text().replace("0.5 * h", "0.25 * h"))
    second = run(str(path), repetitions=1)
    assert len(here.jobs) == 2
    assert set(first.runs()["cell_version"]).isdisjoint(second.runs()["cell_version"])
    card = second.store.card("cell", "step-only")
    assert card is not None
    assert "0.25 * h" in card.source
    assert (card.name, card.version) == ("step-only", second.runs()["cell_version"][0])


def test_cards_say_what_cell_and_task_are(run):
    store = run("lstm[layers=2]", "gap-copy[payload=2]", repetitions=1).store
    cell, task = store.card("cell", "lstm[layers=2]"), store.card("task", "gap-copy@1[payload=2]")
    assert cell is not None
    assert task is not None
    assert cell.source == (ROOT / "submissions" / "lstm.py").read_text()
    assert cell.docstring.startswith("Long short-term memory")
    assert cell.options["layers"] == 2
    assert "class Copy(Task)" in task.source
    assert task.docstring.startswith("gap-copy: ")
    assert task.options == {"payload": 2}


def planned(here, monkeypatch, **request) -> list[tuple[str, str]]:
    """The cells and tasks of a request, each of which is given up at once."""
    here.fate = dict.fromkeys(range(1000), killed())
    results = harness.run(**{**SMALL, "gaps": None, "hidden_size": 8, **request})
    return [(entry.spec.id, entry.task.id) for entry in results.entries]


def test_all_is_every_cell_and_the_suite(here, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = planned(here, monkeypatch, cell="all", task="all", protocol="quick-mixed")
    ids = [find_task(text).id for text in suite()]
    assert found == [(cell, task) for cell in cell_files() for task in ids]
    assert {"gru", "clockwork"} <= set(cell_files())


def test_all_has_the_cells_of_this_folder(here, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submissions").mkdir()
    plugin_cells.write(tmp_path / "submissions", "step_only")
    assert ("step-only", "gap-copy@1") in planned(here, monkeypatch, cell="all", task="gap-copy")


def test_what_is_asked_twice_is_done_once(here, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "gru.py"
    copy.write_text((ROOT / "submissions" / "gru.py").read_text())
    cells = ["gru", "gru[reset=after]", str(copy), "rnn"]
    found = planned(here, monkeypatch, cell=cells, task=["gap-copy", "gap-copy@1[payload=3]"])
    assert found == [("gru", "gap-copy@1"), ("rnn", "gap-copy@1")]


def test_the_curve_starts_at_the_smallest_gap_of_the_task(run, here):
    task = find_task("nl-birthplace")
    results = run(task=task.id, gaps=None, updates=1, repetitions=1, lr=[0.01])
    (row,) = results.rows()
    gaps = [point["gap"] for point in row["curve"]]
    assert gaps == [task.min_gap, *(g for g in QUICK.gaps if g > task.min_gap)]
    assert gaps[0] > QUICK.gaps[0]


BAD = {
    "cell": ({"cell": "gruu"}, "unknown cell 'gruu': did you mean gru?"),
    "file": ({"cell": "no/such_cell.py"}, "there is no file no/such_cell.py"),
    "cell option": ({"cell": "gru[reset=never]"}, "option reset=never of gru: must be one of after, before"),
    "task": ({"task": "gap-cpoy"}, "unknown task 'gap-cpoy': did you mean gap-copy?"),
    "task option": ({"task": "gap-copy[paylod=2]"}, "did you mean payload?"),
    "protocol": ({"protocol": "quik"}, "unknown protocol 'quik': did you mean quick"),
    "engine": ({"engine": "eagre"}, "unknown engine 'eagre': did you mean eager?"),
    "device": ({"device": "gpu"}, "unknown device 'gpu': write auto, cpu, cuda or cuda:n"),
    "no such device": ({"device": "cuda:99"}, "device cuda:99 is not here: torch sees"),
    "gap": ({"task": "nl-birthplace", "gaps": [2, 64]}, "nl-birthplace cannot have a gap of 2: its smallest"),
    "negative gap": ({"gaps": [-1]}, "gaps=-1: give at least one gap, none below 0"),
    "no gap": ({"gaps": []}, "give at least one gap"),
    "updates": ({"updates": 0}, "updates=0: must be at least 1"),
    "lr": ({"lr": [-0.1]}, "lr=-0.1: must be above 0"),
    "nan lr": ({"lr": [float("nan")]}, "lr=nan: must be above 0"),
    "repetitions": ({"repetitions": 0}, "repetitions=0: must be at least 1"),
    "width": ({"cell": "clockwork", "hidden_size": 9}, "hidden size 9 is no multiple of modules=8"),
    "no width": ({"hidden_size": 0}, "hidden_size=0: must be at least 1"),
    "store": ({"db": "nosuch://x/y"}, "nosuch"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_request_that_makes_no_sense_is_refused_in_one_line_before_anything_is_trained(run, here, what):
    request, message = BAD[what]
    with pytest.raises(UserError) as caught:
        run(**request)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert here.jobs == []


BROKEN = {
    "unbuildable": ("self.nothing", "AttributeError: 'Plugin' object has no attribute 'nothing'"),
    "stateless": ("raise KeyError", "KeyError: 'no state'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_cell_that_cannot_be_built_is_refused_naming_its_line(run, here, tmp_path, name):
    text, error = BROKEN[name]
    path = plugin_cells.write(tmp_path, name)
    for width in (4, None):
        with pytest.raises(UserError) as caught:
            run(path, hidden_size=width)
        assert str(caught.value) == f"cell {name}: {path}:{plugin_cells.line(name, text)}: {error}"
    assert here.jobs == []


@pytest.mark.usefixtures("really")
def test_events_tell_the_story(run, tmp_path):
    seen: list[Event] = []
    run(plugin_cells.write(tmp_path, "branch"), updates=1, repetitions=1, report=seen.append)
    assert [e.kind for e in seen] == ["plan", *["begin", "note", "progress", "end"] * 2]
    assert [(e.number, e.populations) for e in seen] == [(0, 2)] * 5 + [(1, 2)] * 4
    assert {e.label for e in seen[1:]} == {"branch · gap-copy · gap 3", "branch · gap-copy · gap 2"}
    assert all(e.progress.update == 1 for e in seen if e.kind == "progress")
    assert all("data-dependent" in e.note for e in seen if e.kind == "note")


def test_results_are_frames_charts_and_plain_rows(run):
    results = run(["rnn", "gru"], repetitions=2)
    frame, rows = results.frame(), results.rows()
    assert len(frame) == 4
    assert {"cell", "task", "gap", "accuracy", "low", "high", "chance"} <= set(frame.columns)
    assert [row["cell"] for row in rows] == ["gru", "rnn"]
    for row in rows:
        of_row = frame[frame["cell"] == row["cell"]].sort_values("gap")
        assert of_row["accuracy"].tolist() == [point["accuracy"] for point in row["curve"]]
        assert json.loads(json.dumps(row, allow_nan=False)) == row
    chart = results.chart().to_dict()
    assert "vega-lite" in chart["$schema"]
    assert "gru" in json.dumps(chart)


def test_results_of_what_was_asked_only(run):
    """Other runs in the store are none of this request's."""
    run(["rnn", "gru"], repetitions=2)
    results = run("gru", repetitions=1, gaps=[2, 3])
    assert set(results.runs()["cell"]) == {"gru"}
    assert len(results.runs()) == 2


def test_engine_memory_and_device_reach_the_workers(run, here):
    run(
        engine="reference", memory=123, device="cpu", timeout=9.5, executor="ray", address="there:1",
        repetitions=1,
    )  # fmt: skip
    assert here.given == ("ray", "reference", 123, 9.5, "there:1")
    assert here.devices == ["cpu"]


def test_no_more_workers_are_wanted_than_there_are_members(run, here):
    run("rnn", repetitions=3, lr=[0.01, 0.02], gaps=[2, 3, 4, 5])
    assert here.most == 2 * 3 * 4
    run(["rnn", "gru"], ["gap-copy", "gap-latch"], repetitions=1, train="mixed")
    assert here.most == 4


def test_what_failed_is_recorded_with_the_last_of_what_it_printed(run, here):
    printed = "step 1\nstep 2"
    here.fate = {0: killed()._replace(output=printed), 1: killed()}
    seen: list[Event] = []
    results = run(repetitions=1, report=seen.append)
    attempts = results.store.attempts()
    assert attempts["reason"].tolist() == [
        f"the worker was ended by signal 9\n{printed}", "the worker was ended by signal 9",
    ]  # fmt: skip
    assert [event.note for event in seen if event.kind == "note"] == [f"printed at last:\n{printed}"]
    assert all("step" not in line for line in results.unfinished)


def test_a_cell_that_cannot_be_built_in_a_worker_is_kept_out_of_this_process(run, here, tmp_path):
    """Only cells that are not the harness's own are tried."""
    deadly = plugin_cells.write(tmp_path, "exiting_when_loaded")
    here.trials = {"exiting_when_loaded": killed("the worker exited with code 4"), "gru": killed()}
    results = run([deadly, "gru"], repetitions=1)
    assert results.unfinished == [f"cell {deadly} cannot be loaded and built: the worker exited with code 4"]
    assert [row["cell"] for row in results.rows()] == ["gru"]
    with pytest.raises(UserError, match="cannot be loaded and built"):
        run(deadly, repetitions=1)


def test_a_broken_cell_is_told_of_and_the_others_run(run, here, tmp_path):
    here.real = True
    texts = {
        "syntax": "def f(:\n",
        "none": "x = 1\n",
        "two": "from harness import Cell\n\n\nclass A(Cell): ...\n\n\nclass B(Cell): ...\n",
        "leaving": "import sys\n\nsys.exit(3)\n",
        "few": "from harness import Cell\n\n\nclass Few(Cell):\n    def __init__(self):\n        pass\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    written = [
        plugin_cells.write(tmp_path, name)
        for name in ("unbuildable", "raising", "exiting", "ill_fitting", "one_way")
    ]
    cells = [*(str(tmp_path / f"{name}.py") for name in texts), *written, "gru"]
    results = run(cells, gaps=[2])
    assert [(row["cell"], row["failed"]) for row in results.rows()] == [
        ("exiting", 2), ("gru", 0), ("ill-fitting", 2), ("one-way", 2), ("raising", 2),
    ]  # fmt: skip
    runs = results.runs().drop_duplicates("cell").set_index("cell")
    line = plugin_cells.line
    assert runs["reason"].dropna().to_dict() == {
        "exiting": f"exiting.py:{line('exiting', 'sys.exit')}: SystemExit: 3",
        "ill-fitting": f"ill_fitting.py:{line('ill_fitting', 'def step')}: TypeError: Plugin.step() takes 2 "
        "positional arguments but 3 were given",
        "one-way": f"one_way.py:{line('one_way', 'raise')}: RuntimeError: there is no way back",
        "raising": f"raising.py:{line('raising', 'raise')}: RuntimeError: the step is out of order",
    }
    assert [line.replace(f"{tmp_path}/", "") for line in results.unfinished] == [
        "syntax.py:1: SyntaxError: invalid syntax (syntax.py, line 1)",
        "none.py: a file holds one subclass of harness.Cell, here are: none",
        "two.py: a file holds one subclass of harness.Cell, here are: A, B; name one, as in two.py:A",
        "leaving.py:3: SystemExit: 3",
        "cell few: few.py:4: TypeError: Few.__init__() takes 1 positional argument but 3 were given",
        f"cell unbuildable: unbuildable.py:{plugin_cells.line('unbuildable', 'self.nothing')}: "
        "AttributeError: 'Plugin' object has no attribute 'nothing'",
    ]
    with pytest.raises(UserError, match=r"syntax\.py:1: SyntaxError"):
        run(cells[:2], gaps=[2])
