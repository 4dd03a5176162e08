"""What the README says works when followed word by word."""

import json
import os
import re
import shlex
import subprocess
import sys

import click
import pytest

from harness.cli import cli
from harness.registry import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("    harness ")]


def test_its_cell_trains(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "leaky.py").write_text(code, encoding="utf-8")
    (command,) = [c for c in COMMANDS if "leaky.py" in c]
    small = ["--gaps", "2", "--updates", "40", "--repetitions", "1", "--lr", "0.01", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), *small],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["cell"], row["failed"]) for row in rows] == [("gru", 0), ("leaky", 0)]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_exist(command):
    _, name, *arguments = shlex.split(command)
    with click.Context(cli) as context:
        found = cli.get_command(context, name)
        assert found is not None
        found.make_context(name, arguments, parent=context)


def test_its_pictures_are_there():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
