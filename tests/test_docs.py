"""The pages that are written from the code say what the code says."""

import importlib.util
import re

import pytest

from harness.registry import ROOT, task_classes
from harness.sweep_file import _File


@pytest.fixture(scope="module")
def probes():
    spec = importlib.util.spec_from_file_location("_docs_probes", ROOT / "docs" / "probes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_probes_is_as_its_script_writes_it(probes):
    assert probes.PAGE.read_text(encoding="utf-8") == probes.page(), "python docs/probes.py writes it anew"


def test_the_page_of_probes_has_all_of_them_with_an_example_of_each(probes):
    table, *examples = probes.page().split("\n### ")
    assert {example.partition("\n")[0] for example in examples} == set(task_classes())
    for name in task_classes():
        assert f"\n| [{name}](#{name}) | " in table
    for example in examples:
        (sample,) = example.split("```")[1:2]
        assert all(mark in sample for mark in "[]<>→")
        assert max(map(len, sample.split("\n"))) <= probes.WIDTH


def test_the_page_of_sweeps_shows_the_file_as_it_is_and_every_key():
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    file = (ROOT / "docs" / "reference.toml").read_text(encoding="utf-8")
    assert shown == file.partition("\n\n")[2]
    keys = {field.alias for field in _File.model_fields.values()} - {"run"}
    assert keys <= set(re.findall(r"`([a-z-]+)`", page))
