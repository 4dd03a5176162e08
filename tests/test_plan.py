"""What requests come to."""

import plugin_cells
import pytest

from harness.errors import UserError
from harness.plan import Request, plan

SMALL = {"updates": 3, "gaps": [2, 3], "lr": [0.01], "hidden_size": 4}


def request(cell="rnn", task="gap-copy", protocol="quick", **other) -> Request:
    return Request.of(cell, task, protocol, **{**SMALL, **other})


def ids(*requests: Request) -> list[tuple[str, str, str]]:
    entries, refused = plan(requests)
    assert refused == []
    return [entry.id for entry in entries]


def test_requests_are_planned_together_each_curve_once():
    fixed = "quick@1[gaps=2/3,hidden_size=4,lr=0.01,updates=3]"
    mixed = "quick-mixed@1[gaps=2/3,hidden_size=4,lr=0.01,updates=3]"
    assert ids(request(), request(["gru", "rnn"]), request(train="mixed")) == [
        ("rnn", "gap-copy@1", fixed), ("gru", "gap-copy@1", fixed), ("rnn", "gap-copy@1", mixed),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [(2, 5), (5, 2)])
def test_of_two_that_differ_in_repetitions_the_more_are_planned(order):
    entries, _ = plan([request(repetitions=n) for n in order])
    assert [len(entry.requests) for entry in entries] == [2 * 5]
    assert len(set(entries[0].keys)) == 10


def test_an_error_names_the_place_of_its_request(tmp_path):
    with pytest.raises(UserError, match=r"^here: unknown cell 'gruu': did you mean gru\?$"):
        plan([request(), request("gruu", place="here: ")])
    narrow = request("clockwork", hidden_size=9, place="there: ")
    entries, refused = plan([request(), narrow, narrow])
    assert [entry.spec.id for entry in entries] == ["rnn"]
    assert refused == ["there: cell clockwork: hidden size 9 is no multiple of modules=8"]
    broken = plugin_cells.write(tmp_path, "unbuildable")
    with pytest.raises(UserError, match="unbuildable"):
        plan([request(broken)])
