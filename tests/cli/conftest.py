import sys

import pytest

from harness.cli import main


@pytest.fixture
def harness(monkeypatch, capsys):
    """`harness(*arguments)`: exit code, standard output and standard error of the command."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code, *capsys.readouterr()

    return run
