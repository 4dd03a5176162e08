"""The report: whole without a network, and honest about what is missing."""

import json
import re
import struct
import sys
from xml.etree import ElementTree

import pytest
import synthetic

from harness import report
from harness.errors import UserError
from harness.protocol import QUICK, QUICK_MIXED
from harness.registry import find_task, suite
from harness.store import Store

NAME = "odd[note=<b>x</b>]"
TASKS = [find_task(name) for name in suite()]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a report, and the files that were named."""
    folder = tmp_path_factory.mktemp("report")
    store = Store.open(str(folder / "results.db"))
    for cell, repetitions in {"gru": 5, NAME: 1}.items():
        for task in TASKS:
            given = {"chance": task.chance(64), "min_gap": task.min_gap, "repetitions": range(repetitions)}
            synthetic.record(store, cell, task.id, QUICK.vary(gaps=(2, 32)), **given)
    synthetic.record(store, "gru", TASKS[0].id, QUICK_MIXED)
    return folder / "new" / "folder", report.write(store, folder / "new" / "folder")


@pytest.mark.slow
class TestReport:
    def test_has_every_chart_in_three_ways(self, made):
        folder, files = made
        assert {path.parent for path in files} == {folder}
        assert sorted(folder.iterdir()) == sorted(files)
        page = (folder / "report.html").read_text(encoding="utf-8")
        specs = json.loads(re.search(r"const specs = (.*);\n", page)[1])
        assert {path.stem for path in files} == {*specs, "report"}
        assert len(specs) == 1 + len(TASKS) + 1  # the scores, the curves, and the curve of the other protocol
        for name in specs:
            assert f'<div id="{name}">' in page
            assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
            head = (folder / f"{name}.png").read_bytes()[:24]
            assert head[:8] == b"\x89PNG\r\n\x1a\n"
            assert min(struct.unpack(">II", head[16:])) > 300

    def test_has_the_board_and_its_commands(self, made):
        page = (made[0] / "report.html").read_text(encoding="utf-8")
        assert page.count("<h2>core@1 · quick") == 2
        assert "<td>1*</td><td>1</td>" in page
        assert "harness run --cell gru --task all --protocol quick --gaps 2,32 --repetitions 5" in page

    def test_incomplete_entries_are_named(self, made):
        page = (made[0] / "report.html").read_text(encoding="utf-8")
        assert page.count("Incomplete, and so not ranked: gru</p>") == (len(TASKS) > 1)

    def test_names_are_text_and_not_markup(self, made):
        page = (made[0] / "report.html").read_text(encoding="utf-8")
        assert "<b>x" not in page.split("<script>")[0]
        assert page.count("</script>") == 2

    def test_draws_in_a_browser_without_a_network(self, made, require):
        from playwright.sync_api import sync_playwright

        chromium = require("browser")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_context(offline=True).new_page()
            errors, asked = [], []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto((made[0] / "report.html").as_uri())
            page.wait_for_function(f"document.querySelectorAll('figure svg').length === {2 + len(TASKS)}")
            browser.close()
        assert errors == []
        assert asked == [(made[0] / "report.html").as_uri()]


def test_without_what_draws_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UserError, match=r"pip install 'recurrent-harness\[report\]'"):
        report.write(Store.open(str(tmp_path / "results.db")), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_off_the_suite_there_is_nothing_to_report(tmp_path):
    store = Store.open(str(tmp_path / "results.db"))
    synthetic.record(store, "gru", "my-task@1")
    with pytest.raises(UserError, match="harness run --cell all --task all"):
        report.write(store, tmp_path / "report")
