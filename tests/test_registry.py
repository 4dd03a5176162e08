import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cell import Stack
from harness.errors import UserError
from harness.registry import (
    ROOT,
    cell_files,
    expected_failures,
    find_cell,
    find_task,
    is_foreign,
    is_reference,
    problems,
    suite,
    task_classes,
)

CELL = '''
import torch
from torch import nn
from harness import Cell

class Echo(Cell):
    """Says what it hears."""

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 1.0, deep: bool = False) -> None:
        super().__init__(input_size, hidden_size)
        if scale == 0:
            raise ValueError("scale must not be 0")
        self.scale = scale
        self.weight = nn.Parameter(torch.ones(hidden_size, input_size))

    def initial_state(self, batch_size, *, device, dtype):
        return torch.zeros(batch_size, 1, device=device, dtype=dtype)

    def step(self, x, state):
        return self.scale * x @ self.weight.T, state
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, a new one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    def write(path: str, source: str = CELL) -> Path:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        return file

    return write


def refusal(cell: str) -> str:
    with pytest.raises(UserError) as caught:
        find_cell(cell).build(4, 3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_cell_by_name_and_options():
    spec = find_cell("gru[reset=before]")
    assert (spec.name, spec.id, spec.options, spec.layers) == (
        "gru",
        "gru[reset=before]",
        {"reset": "before"},
        1,
    )
    assert find_cell("gru[reset=after]").id == "gru"
    assert find_cell("depth_gated".replace("_", "-")).cls.__name__ == "DepthGatedLSTM"


def test_an_id_may_name_the_version():
    version = cell_files()["gru"].version
    assert find_cell(f"gru@{version}").id == "gru"
    assert refusal("gru@123") == f"cell gru is at version {version}; version 123 is not here"


def test_layers_stack_any_cell_but_are_its_own_where_it_says_so():
    stacked = find_cell("lstm[layers=3]")
    assert stacked.id == "lstm[layers=3]"
    cell = stacked.build(5, 4)
    assert isinstance(cell, Stack)
    assert [(layer.input_size, layer.hidden_size) for layer in cell.layers] == [(5, 4), (4, 4), (4, 4)]
    assert not isinstance(find_cell("lstm[layers=1]").build(5, 4), Stack)
    assert find_cell("lstm[layers=1]").id == "lstm"
    deep = find_cell("depth-gated[layers=3]")
    assert (deep.layers, deep.options, deep.id) == (1, {"layers": 3}, "depth-gated[layers=3]")
    assert refusal("lstm[layers=0]") == "option layers=0 of lstm: must be at least 1"


def test_a_file_is_a_cell_with_options(write):
    write("cells/my_cell.py")
    spec = find_cell("cells/my_cell.py[scale=0.5,deep=true,layers=2]")
    assert spec.id == "my-cell[deep=true,layers=2,scale=0.5]"
    assert spec.build(4, 3).layers[0].scale == 0.5
    assert spec.file.summary() == ("Says what it hears.", "scale=1.0, deep=False")
    assert find_cell(str(Path.cwd() / "cells/my_cell.py")).id == "my-cell"


def test_a_file_in_submissions_here_is_registered(write):
    write("submissions/my_cell.py")
    write("submissions/_helper.py", "raise RuntimeError")
    assert set(cell_files()) - {"my-cell"} == {path.stem.replace("_", "-") for path in published()}
    assert find_cell("my-cell").id == "my-cell"


def published() -> list[Path]:
    return sorted((ROOT / "submissions").glob("[!_]*.py"))


def test_listing_runs_no_cell(write):
    write("submissions/broken.py", "def f(:\n")
    write("submissions/raising.py", CELL + "\nraise RuntimeError\n")
    write("submissions/empty.py", "x = 1\n")
    files = cell_files()
    assert files["broken"].summary() == ("broken: line 1: invalid syntax", "")
    assert files["raising"].summary() == ("Says what it hears.", "scale=1.0, deep=False")
    assert files["empty"].summary() == ("no cell in it", "")
    assert find_cell("gru").id == "gru"  # nor does a broken one stand in the way of another


def test_what_is_not_published_is_known_without_running_it(folder, write):
    write("submissions/mine.py", "raise SystemExit")
    own = write("own.py", "raise SystemExit")
    for text in (
        "mine",
        "mine[a=1]",
        "mine@0123",
        str(own),
        "own.py[a=1]",
        "own.py:Own",
        "submissions/mine.py",
    ):
        assert is_foreign(text)
    published = ROOT / "submissions" / "gru.py"
    for text in (
        "gru",
        "gru[reset=before]",
        str(published),
        f"{published}:GRU",
        "gruu",
        "gone.py",
        "gru[",
        "",
    ):
        assert not is_foreign(text)


def test_a_reference_says_so_and_is_known_without_running_it():
    assert [name for name, file in cell_files().items() if is_reference(file.whole)] == [
        "last-k",
        "reservoir",
        "transformer",
    ]
    said = CELL.replace("    def __init__", "    reference = True\n\n    def __init__")
    assert is_reference(said + "\nraise RuntimeError\n")
    for other in (CELL, "x = 1\n", "def f(:\n", said.replace("True", "False")):
        assert not is_reference(other)


def test_what_a_cell_has_to_fail_is_known_without_running_it():
    def said(line):
        return CELL.replace("    def __init__", f"    {line}\n\n    def __init__")

    for way in ("expected_failures", "expected_failures: ClassVar[Mapping[str, str]]"):
        found = expected_failures(said(way + ' = {"gradient": "it is frozen"}'))
        assert found == {"gradient": "it is frozen"}
    for other in (CELL, "x = 1\n", "def f(:\n", said("expected_failures = made()"), said("k = {'a': 'b'}")):
        assert expected_failures(other) == {}


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("x = 1\n\ndef f(:\n    pass\n", 3, "SyntaxError: "),
        ("import torch\nimport no_such_module\n", 2, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError: "),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named_with_its_line(write, source, line, error):
    path = write("bad.py", source)
    assert refusal("bad.py").startswith(f"{path}:{line}: {error}")


def test_a_file_holds_one_cell(write):
    second = "\nclass Other(Echo):\n    pass\n"
    path = write("two.py", CELL + second)
    assert refusal("two.py") == (
        f"{path}: a file holds one subclass of harness.Cell, here are: Echo, Other; "
        "name one, as in two.py:Echo"
    )
    path = write("none.py", "from harness import Cell\n")
    assert refusal("none.py") == f"{path}: a file holds one subclass of harness.Cell, here are: none"
    write("helper.py", CELL + second.replace("Other", "_Other"))
    assert find_cell("helper.py").cls.__name__ == "Echo"


def test_a_cell_refuses_its_options_in_one_line(write):
    write("my_cell.py")
    assert refusal("my_cell.py[scale=0]") == "cell my-cell[scale=0]: scale must not be 0"
    assert refusal("my_cell.py[scale=x]") == "option scale=x of my-cell: must be of type float"
    assert refusal("my_cell.py[depe=2]") == "unknown option of my-cell 'depe': did you mean deep?"


@pytest.mark.parametrize("in_submissions", [True, False])
def test_two_cells_of_one_name_are_both_named(write, in_submissions):
    path = write("submissions/gru.py" if in_submissions else "gru.py")
    message = f"two cells are named gru: {ROOT / 'submissions' / 'gru.py'} and {path}; rename one of them"
    assert refusal("gru" if in_submissions else "gru.py") == message


@pytest.mark.parametrize("copy", ["submissions/gru.py", "gru.py", "elsewhere/copied.py"])
def test_a_copy_of_a_registered_file_is_that_one(folder, copy):
    (folder / copy).parent.mkdir(exist_ok=True)
    shutil.copy(ROOT / "submissions" / "gru.py", folder / copy)
    spec = find_cell(f"{copy}[reset=before]")
    assert spec.id == "gru[reset=before]"
    assert spec.file.version == cell_files()["gru"].version
    assert spec.cls is find_cell("gru").cls


def test_an_edited_file_is_another_version_and_is_loaded_anew(write):
    """Of the same length and in the same second, so that no cache could tell them apart."""
    write("my_cell.py", CELL + "LIMIT = 1\n")
    first = find_cell("my_cell.py")
    path = write("my_cell.py", CELL + "LIMIT = 2\n")
    second = find_cell("my_cell.py")
    assert first.file.version != second.file.version
    assert [sys.modules[spec.cls.__module__].LIMIT for spec in (first, second)] == [1, 2]
    assert first.file.source.endswith("LIMIT = 1\n")  # what was loaded, not what now stands there
    assert path.read_text().endswith("LIMIT = 2\n")


def test_a_cell_may_be_a_dataclass_of_its_own_module(write):
    """Which looks its own module up by name."""
    source = "from dataclasses import dataclass\n" + CELL + "\n@dataclass\nclass Sizes:\n    n: 'int' = 1\n"
    write("my_cell.py", source)
    assert find_cell("my_cell.py").build(4, 3).hidden_size == 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("gruu", "unknown cell 'gruu': did you mean gru?"),
        ("lstn", "unknown cell 'lstn': did you mean lstm"),
        ("nothing.py", "there is no file nothing.py"),
        ("gru[reset=befor]", "option reset=befor of gru: must be one of after, before"),
        ("gru[rest=before]", "unknown option of gru 'rest': did you mean reset?"),
        ("gru[reset", "'gru[reset' is not an id"),
    ],
)
def test_what_is_mistyped_is_named(folder, cell, message):
    assert refusal(cell).startswith(message)


def test_tasks_by_name_and_options():
    task = find_task("gap-copy[payload=5]")
    assert task.id == "gap-copy@1[payload=5]"
    assert type(task) is task_classes()["gap-copy"]
    assert find_task(f"gap-copy@{task.version}").id == f"gap-copy@{task.version}"


def test_every_id_of_the_suite_is_canonical():
    """With its version, so that a task that changes is not in it any more."""
    assert [find_task(id).id for id in suite()] == list(suite())
    assert len(set(suite())) == len(suite())


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("gap-cpy", "unknown task 'gap-cpy': did you mean gap-copy?"),
        ("gap-copy[paylod=5]", "unknown option of gap-copy 'paylod': did you mean payload?"),
        ("gap-copy[payload=x]", "option payload=x of gap-copy: must be of type int"),
        ("gap-copy[payload=0]", "gap-copy[payload=0]: payload must be at least 1"),
        ("gap-copy@99", "gap-copy is at version 1; version 99 is not here"),
    ],
)
def test_a_mistyped_task_is_named(task, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        find_task(task)


def test_an_unknown_suite_is_named():
    with pytest.raises(UserError, match="unknown suite 'cor': did you mean core"):
        suite("cor")


def test_a_folder_with_packages_of_the_same_names_is_not_in_the_way(write):
    for package in ("tasks", "dashboard"):
        write(f"{package}/__init__.py", f"raise RuntimeError('the wrong {package}')")
    write("submissions/__init__.py", "raise RuntimeError('the wrong submissions')")
    write("submissions/my_cell.py")
    script = (
        "import sys\n"
        "from harness.registry import *\n"
        "print(find_cell('my-cell').build(4, 3).hidden_size, find_cell('gru').id, find_task('gap-copy').id)\n"
        "assert not {'tasks', 'submissions', 'dashboard'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["3", "gru", "gap-copy@1"]


HELPED = CELL.replace(
    "from harness import Cell", "from harness import Cell\nfrom ._parts import SCALE"
).replace("self.scale * x", "SCALE * x")


def test_a_cell_is_made_of_the_files_beside_it_that_it_imports(write):
    """All of them are in its version, and what runs is what is hashed."""
    write("_parts.py", "from . import _more\nSCALE = 2.0 * _more.ONE\n")
    write("_more.py", "ONE = 1.0\n")
    write("_other.py", "raise RuntimeError\n")
    alone = write("my_cell.py", HELPED)
    first = find_cell("my_cell.py")
    assert list(first.file.helpers) == ["_more", "_parts"]
    assert first.file.whole.startswith(alone.read_text())
    assert "ONE = 1.0" in first.file.whole
    write("_more.py", "ONE = 2.0\n")
    second = find_cell("my_cell.py")
    assert second.file.version != first.file.version
    assert [sys.modules[s.cls.__module__].SCALE for s in (first, second)] == [2.0, 4.0]
    write("_other.py", "x = 1\n")
    assert find_cell("my_cell.py").file.version == second.file.version


def test_a_broken_file_beside_a_cell_is_named_with_its_line(write):
    write("my_cell.py", HELPED)
    assert refusal("my_cell.py").endswith("my_cell.py:5: ModuleNotFoundError: No module named '._parts'")
    path = write("_parts.py", "x = 1\nSCALE = 1 / 0\n")
    assert refusal("my_cell.py") == f"{path}:2: ZeroDivisionError: division by zero"
    write("_parts.py", "SCALE = 1.0\n")
    assert find_cell("my_cell.py").name == "my-cell"


def test_a_cell_of_a_file_that_holds_several(write):
    path = write("two.py", CELL + "\nclass Other(Echo):\n    '''Another.'''\n")
    spec = find_cell("two.py:Other[layers=2]")
    assert (spec.cls.__name__, spec.id) == ("Other", "two.Other[layers=2]")
    assert spec.reference == f"{path}:Other[layers=2]"
    assert find_cell(spec.reference).id == spec.id
    assert spec.file.summary() == ("Another.", "")
    assert refusal("two.py:Othr") == f"unknown cell of {path} 'Othr': did you mean Other?"
    assert refusal("twoo.py:Other") == "there is no file twoo.py"


def test_folders_of_ones_own(write, folder, monkeypatch):
    write("one/my_cell.py")
    write("two/their_cell.py", CELL + "\n")
    monkeypatch.setenv("HARNESS_SUBMISSIONS", f"{folder / 'one'}{os.pathsep}{folder / 'two'}")
    assert {"my-cell", "their-cell", "gru"} <= set(cell_files())
    write("submissions/my_cell.py")
    assert find_cell("my-cell").id == "my-cell"  # the same file twice is one
    second = write("submissions/their_cell.py")
    assert refusal("gru") == (
        f"two cells are named their-cell: {second} and {folder / 'two' / 'their_cell.py'}; rename one of them"
    )


@pytest.fixture
def install(folder, monkeypatch) -> Callable[..., None]:
    """install("my-pkg", cells="x = mod:X", files={"mod.py": …}): as pip would, into a folder on the path."""

    def install(name: str, files: dict[str, str], **groups: str) -> None:
        site = folder / "site"
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        info = site / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        points = "".join(f"[harness.{group}]\n{lines}\n" for group, lines in groups.items())
        (info / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(site))

    return install


def test_installed_packages_add_cells(install, request):
    """Listed without being imported; run as the package that they are."""
    install(
        "echo-cells",
        {
            "echo_pkg/__init__.py": "from echo_pkg.cells import Echo as Echo\n",
            "echo_pkg/cells.py": CELL,
        },
        cells="echo = echo_pkg.cells:Echo",
    )
    file = cell_files()["echo"]
    assert file.summary() == ("Says what it hears.", "scale=1.0, deep=False")
    assert file.recorded.endswith("# package echo-cells 1.2\n")
    assert file.version == hashlib.sha256(file.recorded.encode()).hexdigest()[:12]
    assert "echo_pkg" not in sys.modules
    request.addfinalizer(lambda: [sys.modules.pop(m, None) for m in ("echo_pkg", "echo_pkg.cells")])
    spec = find_cell("echo[scale=2]")
    assert (spec.cls.__module__, spec.id, spec.reference) == (
        "echo_pkg.cells",
        "echo[scale=2]",
        "echo[scale=2]",
    )
    assert spec.build(4, 3).hidden_size == 3
    assert problems() == []


def test_a_plugin_that_cannot_be_used_disturbs_nothing_else(install):
    install(
        "sad-cells",
        {"sad_pkg.py": "import no_such_module\n", "sad_tasks.py": "x = 1\n\nraise OSError('no data')\n"},
        cells="sad = sad_pkg:Sad\ngone = nowhere.at_all:Gone",
        tasks="gap-sad = sad_tasks:Sad",
    )
    assert find_cell("gru").id == "gru"
    assert find_task("gap-copy").id == "gap-copy@1"
    gone, sad_task = problems()
    assert gone == "gone of package sad-cells 1.2: there is no module nowhere.at_all"
    assert sad_task.startswith("gap-sad of package sad-cells 1.2: ")
    assert sad_task.endswith("sad_tasks.py:3: OSError: no data")
    assert refusal("gone") == gone
    assert "sad_pkg.py:1: ModuleNotFoundError: No module named 'no_such_module'" in refusal("sad")
    with pytest.raises(UserError, match=r"sad_tasks\.py:3: OSError: no data"):
        find_task("gap-sad")


def test_a_plugin_named_like_a_published_cell_is_an_error(install):
    install("rival", {"rival_pkg.py": CELL}, cells="gru = rival_pkg:Echo")
    ours = ROOT / "submissions" / "gru.py"
    assert refusal("lstm") == f"two cells are named gru: {ours} and package rival 1.2; rename one of them"


TASK = (ROOT / "tasks" / "latching.py").read_text().replace("from ._tokens", "from ._words")
MY_TASK = (
    TASK.replace("gap-latch", "gap-mine").replace("gap-flipflop", "gap-flip").replace("gap-parity", "gap-par")
)


def test_tasks_of_this_folder_are_registered(write):
    shutil.copy(ROOT / "tasks" / "_tokens.py", write("tasks/_words.py", ""))
    path = write("tasks/mine.py", MY_TASK)
    broken = write("tasks/broken.py", "def f(:\n")
    shutil.copy(ROOT / "tasks" / "latching.py", path.with_name("latching.py"))  # the published one: no clash
    task = find_task("gap-mine")
    assert task.id == "gap-mine@1"
    assert task.batch("train", 0, 3, 0, 4).inputs.shape == (5, 4)
    assert {"gap-mine", "gap-flip", "gap-par", "gap-latch"} <= set(task_classes())
    assert problems() == [f"{broken}:1: SyntaxError: invalid syntax (broken.py, line 1)"]
    path.write_text(TASK)
    with pytest.raises(UserError) as caught:
        find_task("gap-copy")
    message = f"two tasks are named gap-latch: {ROOT / 'tasks'} and {path}; rename one of them"
    assert str(caught.value) == message


def test_installed_packages_add_tasks(install, request):
    words = (ROOT / "tasks" / "_tokens.py").read_text()
    install(
        "more-tasks",
        {"more_tasks/__init__.py": "", "more_tasks/_words.py": words, "more_tasks/mine.py": MY_TASK},
        tasks="gap-mine = more_tasks.mine:Latch",
    )
    names = ("more_tasks", "more_tasks.mine", "more_tasks._words")
    request.addfinalizer(lambda: [sys.modules.pop(name, None) for name in names])
    assert find_task("gap-mine").id == "gap-mine@1"
    assert problems() == []
