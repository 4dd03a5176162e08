"""Memory as this machine tells of it."""

import os
import subprocess
import sys

import pytest

from harness.executors import Local, local, memory

HOLDER = "import sys; hoard = bytearray(b'x' * (int(sys.argv[1]) << 20)); print(flush=True); input()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDER!r}, '200'])"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of memory in /proc")


@linux
@pytest.mark.parametrize("command", [[HOLDER, "200"], [PARENT]], ids=["itself", "its child"])
def test_what_a_process_holds(command):
    with subprocess.Popen(
        [sys.executable, "-c", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        held = memory.held(process.pid)
        process.communicate(b"\n")
    assert 200 << 20 < held < 260 << 20
    assert memory.held(process.pid) == 0


def test_what_is_free_is_less_than_there_is():
    there_is = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.free_memory() < there_is
    assert memory.kills() >= 0


def test_without_a_number_half_of_the_free_memory_is_taken_up_to_what_is_enough(monkeypatch):
    monkeypatch.setattr(local, "free_memory", lambda: 1000)
    assert Local("eager").memory == 500
    monkeypatch.setattr(local, "free_memory", lambda: 1 << 40)
    assert Local("eager").memory == memory.ENOUGH
    assert Local("eager", 1 << 39).memory == 1 << 39
