"""`harness show`: readable with and without colour, and as JSON."""

import json
import re

import pytest
from click.testing import CliRunner

from harness.cli.show import command
from harness.errors import UserError
from harness.registry import find_task, task_classes
from harness.task import Role

MARKS = {Role.CUE: r"\[(.*?)\]", Role.DECOY: r"\{(.*?)\}", Role.QUESTION: r"<(.*?)>"}


def show(*arguments, **environment):
    environment = {"COLUMNS": "70", "FORCE_COLOR": None, "NO_COLOR": None, **environment}
    done = CliRunner().invoke(command, arguments, env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def loose(text):
    """Without the spaces that typesetting puts or takes away."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", task_classes())
def test_without_colour_marks_tell_the_roles(name):
    task = find_task(name)
    gap = max(16, task.min_gap)
    head, *samples = show(name, "--samples", "2").split("\n\n")
    title, facts = head.split("\n", 1)
    assert title == f"{task.id}, gap {gap}, train"
    told = f"{task.ability}; chance {task.chance(gap):.3f}, gaps from {task.min_gap} "
    assert " ".join(facts.split()).startswith(told)
    assert "[cue]" in head
    assert "<question> → answer" in head
    batch = task.batch("train", 0, gap, 0, 2)
    assert len(samples) == 2
    for row, sample in enumerate(samples):
        assert max(map(len, sample.split("\n"))) <= 70
        spans = task.render(batch, row)
        text, answers = sample.split("→")
        assert answers.split() == [span.answer for span in spans if span.answer is not None]
        assert loose(re.sub(r"[][{}<>]", "", text)) == loose("".join(span.text for span in spans))
        for role, mark in MARKS.items():
            marked = "".join(re.findall(mark, text, re.DOTALL))
            assert loose(marked) == loose("".join(span.text for span in spans if span.role == role))


def test_with_colour_there_are_no_marks():
    plain = show("nl-birthplace", COLUMNS="10000")
    coloured = show("nl-birthplace", FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="10000")
    assert "[" in plain
    assert "\x1b[1;30;43mcue\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == re.sub(r"[][{}<>]", "", plain)


@pytest.mark.parametrize("task", ["nl-birthplace", "nl-birthplace[pronoun=true]"])
def test_english_is_typeset_as_english(task):
    text = show(task, "--samples", "30", "--gap", "50", COLUMNS="10000")
    for sample in text.split("\n\n")[1:]:
        assert not re.search(r" [.,]", sample)
        assert not re.search(r"\.[\]}>]? [{<[]?[a-z]", sample)
        assert re.match(r"[{<[]?[A-Z]", sample)


def test_gap_split_and_options_are_heeded():
    text = show("gap-copy[payload=2]", "--gap", "3", "--split", "test", "--samples", "1")
    assert text.startswith("gap-copy@1[payload=2], gap 3, test\n")
    assert re.search(r"\n\n\[[A-H] [A-H]\] [p-w] [p-w] [p-w] <\? \?> → [A-H] [A-H]\n$", text)


def test_json_has_a_sample_per_line():
    lines = show("nl-birthplace", "--gap", "40", "--samples", "5", "--json").splitlines()
    assert len(lines) == 5
    task = find_task("nl-birthplace")
    batch = task.batch("train", 0, 40, 0, 5)
    for row, line in enumerate(map(json.loads, lines)):
        assert (line["task"], line["split"], line["gap"]) == (task.id, "train", 40)
        assert line["queries"] == batch.queries.tolist() == [len(line["inputs"]) - 1]
        assert line["chance"] == task.chance(40)
        assert line["answers"] == [task.output.names[batch.targets[0, row]]]
        assert line["roles"] == [Role(role).name.lower() for role in batch.roles[:, row]]
        cue = line["roles"].index("cue")
        assert line["queries"][0] - cue - 1 == 40


def test_a_gap_out_of_reach_is_an_error_that_names_the_smallest():
    with pytest.raises(UserError, match="its smallest gap is 12"):
        show("nl-birthplace", "--gap", "3")


def test_an_unknown_task_is_an_error_with_a_suggestion():
    with pytest.raises(UserError, match="did you mean nl-birthplace"):
        show("nl-birthplaec")
