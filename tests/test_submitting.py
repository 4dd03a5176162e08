"""The page for submitters, followed word by word in an empty folder, as a new user would."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.registry import ROOT

PAGE = (ROOT / "docs" / "submitting.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if re.match(r"    (harness|python) ", line)]
FILES = re.findall(r"into\s+`([\w/]+\.py)`:\n+```python\n(.*?)```", PAGE, re.DOTALL)
SMALL = [
    "--gaps",
    "2",
    "--updates",
    "10",
    "--repetitions",
    "1",
    "--lr",
    "0.01",
    "--json",
    "--engine",
    "eager",
]


def follow(command: str, folder: Path) -> str:
    program, *arguments = shlex.split(command)
    if arguments[0] == "run":
        arguments += SMALL
    elif arguments[:2] == ["-m", "pytest"]:
        arguments += ["-q", "-p", "no:cacheprovider"]
    words = [sys.executable, *(["-m", "harness"] if program == "harness" else []), *arguments]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_can_be_followed(tmp_path):
    """All commands in their order, but for the one that opens a browser; each run gives its curves."""
    written = dict(FILES)
    assert set(written) == {"submissions/_parts.py", "pair.py", "submissions/torch_gru.py"}
    curves, told = set(), {}
    for command in COMMANDS:
        if command == "harness dashboard":
            continue
        if "pair.py" in command:  # the files come before the commands that need them
            for path, text in written.items():
                (tmp_path / path).write_text(text, encoding="utf-8")
            cell = tmp_path / "submissions" / "my_cell.py"
            text = cell.read_text().replace(
                "from harness import Cell", "from harness import Cell\n\nfrom ._parts import gate"
            )
            cell.write_text(text.replace("a = torch.sigmoid(self.rho)", "a = gate(self.rho)"))
        told[command] = follow(command, tmp_path)
        if "harness run" in command:
            rows = [json.loads(line) for line in told[command].splitlines()]
            assert all(row["failed"] == 0 and row["curve"] for row in rows)
            curves |= {(row["cell"], row["task"]) for row in rows}
    assert curves == {
        ("my-cell", "gap-copy@1"),
        ("gru", "gap-copy@1"),
        ("pair.Sum", "gap-latch@1"),
        ("pair.Mean", "gap-latch@1"),
        ("torch-gru", "gap-copy@1"),
        ("gru", "gap-mine@1"),
        ("my-cell", "gap-mine@1"),
    }
    assert {"my-cell", "torch-gru", "gru"} <= {
        line.split()[0] for line in told["harness cells"].splitlines()[1:]
    }
    assert "as reported" in told["harness db import my_cell.jsonl --db received.db"]
    assert "my-cell (reported)" in told["harness curves --db received.db"]
    assert "gap-mine@1, gap 8" in told["harness show gap-mine --gap 8"]


def test_what_new_prints_is_what_the_page_says():
    from click.testing import CliRunner

    from harness.cli.new import command

    with CliRunner().isolated_filesystem():
        for kind, name in (("cell", "my-cell"), ("task", "gap-mine")):
            printed = CliRunner().invoke(command, [kind, name], catch_exceptions=False).output
            steps = re.findall(r"^    (.*?) +#", printed, re.MULTILINE)
            begin = COMMANDS.index(f"harness new {kind} {name}") + 1
            if kind == "cell":
                assert COMMANDS[begin : begin + 3] == steps
            else:
                assert COMMANDS[begin : begin + 3] == steps[:3]


def test_its_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)
