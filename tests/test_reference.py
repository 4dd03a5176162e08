"""What the README shows of the reference results is what they say."""

import importlib.util
import zlib

import pytest
import synthetic

from harness import board, exchange
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import ROOT, suite
from harness.store import Store


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("_docs_reference", ROOT / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A store with the results that come with the harness."""
    store = Store.open(str(tmp_path_factory.mktemp("reference") / "reference.db"))
    store.add(exchange.read("reference"))
    return store


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two cells with five repetitions of one model for all gaps, and two of one model per gap."""
    store = Store.open(str(tmp_path_factory.mktemp("small") / "small.db"))
    synthetic.fill_suite(store, {"gru": 5, "lstm[layers=2]": 5})
    synthetic.fill_suite(store, {"gru": 2}, QUICK)
    return store


def test_the_table_and_the_picture_are_those_of_the_results(reference, shipped):
    readme = reference.README.read_text(encoding="utf-8")
    assert reference.written(readme, shipped) == readme, "python docs/reference.py writes it anew"
    drawn = reference.stamp(reference.points(shipped))
    assert reference.stamped(reference.PICTURE) == drawn, "python docs/reference.py draws it anew"


def test_no_row_of_the_table_lacks_tasks_or_repetitions(shipped):
    for protocol, repetitions in ((QUICK_MIXED, 5), (QUICK, 2)):
        rows = board.read(shipped, protocol.id).rows
        assert set(rows["cell"]) == {"rnn", "lstm", "gru", "depth-gated", "clockwork", "lstm[layers=2]"}
        assert set(rows["repetitions"]) == {repetitions}
        assert all(len(areas) == len(suite()) for areas in rows["gap_auc"])


def test_the_table_has_a_row_per_cell_with_what_the_boards_say(reference, small):
    lines = list(reference.table(small))
    assert lines[-1].startswith("A dash ")
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[:-2])
    shown = [
        dict(zip(["rank", "cell", "mixed", "far", "fixed", "near", "state"], row, strict=True))
        for row in rows
    ]
    first = board.read(small, QUICK_MIXED.id).rows.iloc[0]
    assert len(head) == 7
    assert [row["cell"] for row in shown] == ["`gru`", "`lstm[layers=2]`"]
    assert shown[0]["mixed"] == f"{first['score']:.3f} [{first['low']:.3f}, {first['high']:.3f}]"
    assert shown[0]["rank"].endswith(r"\*")  # provisional
    assert shown[1]["fixed"] == "–"


def test_it_takes_its_place_between_its_marks_and_nothing_else_changes(reference, small):
    begin, end = reference.MARKS
    readme = f"before\n{begin}an old table\n{end}after\n"
    once = reference.written(readme, small)
    assert once.startswith(f"before\n{begin}\n| rank |")
    assert once.endswith(f"yet.\n\n{end}after\n")
    assert reference.written(once, small) == once


def test_the_readme_has_a_place_for_it(reference):
    readme = reference.README.read_text(encoding="utf-8")
    assert [readme.count(mark) for mark in reference.MARKS] == [1, 1]


def test_a_picture_carries_the_hash_of_its_points(reference, small, tmp_path):
    drawn = reference.points(small)
    path = tmp_path / "picture.png"
    reference.draw(drawn, path)
    assert reference.stamped(path) == reference.stamp(drawn) != reference.stamp(drawn.iloc[1:])
    png, at, kinds = path.read_bytes(), 8, []
    while at < len(png):  # still a whole picture
        size = int.from_bytes(png[at : at + 4], "big")
        chunk = png[at + 4 : at + 8 + size]
        assert zlib.crc32(chunk) == int.from_bytes(png[at + 8 + size : at + 12 + size], "big")
        kinds.append(chunk[:4])
        at += 12 + size
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
