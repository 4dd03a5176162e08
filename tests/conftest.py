import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, and so by children too

sys.path.insert(0, str(Path(__file__).parent / "support"))

_TOOLS = {"browser": ("chromium", "chromium-browser", "google-chrome"), "compiler": ("c++", "g++", "clang++")}


@pytest.fixture(scope="session")
def require():
    """`require("browser")`: the path of such a tool.

    Where there is none the test is skipped, or fails when HARNESS_TEST_REQUIRE has it: `browser,compiler`.
    """

    def find(kind):
        found = next(filter(None, map(shutil.which, _TOOLS[kind])), None)
        if found is None:
            reason = f"needs a {kind}: none of {', '.join(_TOOLS[kind])} is on the path"
            if kind in os.environ.get("HARNESS_TEST_REQUIRE", "").split(","):
                pytest.fail(f"{reason}, and HARNESS_TEST_REQUIRE asks for it")
            pytest.skip(reason)
        return found

    return find
