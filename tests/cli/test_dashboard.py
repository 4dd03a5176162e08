import socket
import subprocess
import sys

import pytest

from harness.registry import ROOT


def run(*arguments):
    command = [sys.executable, "-m", "harness", "dashboard", "--no-browser", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        done = run("--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: port {port} is taken: give another with --port\n"


def test_a_file_that_is_no_store_is_one_line(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("this is no database, " * 100)
    done = run("--db", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"harness: {path} is not a store: file is not a database; give another one with --db\n"
    )


@pytest.mark.parametrize("module", ["harness.cli.curves", "harness.cli.dashboard", "harness.stats"])
def test_importing_is_light(module):
    heavy = {"pandas", "scipy", "streamlit", "altair", "torch"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
