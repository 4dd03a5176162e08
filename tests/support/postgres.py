"""A PostgreSQL server of one's own: in a temporary folder, on a socket in it, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

_OPTIONS = "-c listen_addresses= -c max_connections=200 -c log_min_messages=fatal"
START_SECONDS = 60
_WATCH = """
while kill -0 "$1" 2>/dev/null && [ -d "$2" ]; do sleep 1; done
[ -f "$2/data/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"
rm -rf "$2"
"""
"""Ends a server whose owner was killed."""


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: on the path, or where Debian has them, off it."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda initdb: float(initdb.parts[-3]), default=None)
    return newest.parent if newest else None


class Server:
    """It runs from `start` to `stop`, and as another user where this one is root, whom it refuses.

    durable: whether what is committed outlives a loss of power
    """

    def __init__(self, *, durable: bool = False) -> None:
        found = binaries()
        if found is None:
            raise FileNotFoundError("initdb")
        self._binaries = found
        self._as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.geteuid() == 0:
            names = {user.pw_name for user in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._options = _OPTIONS + ("" if durable else " -c fsync=off")
        subprocess.Popen(
            ["sh", "-c", _WATCH, "sh", str(os.getpid()), str(self.folder)], start_new_session=True
        )
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        """Of its database `postgres`."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Have it run."""
        options = f"-k {self.folder} {self._options}"
        self._run(
            "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-l", f"{self.folder}/log", "-o", options
        )

    def stop(self, mode: str = "immediate") -> None:
        """End it; `immediate`, as a crash would; `fast`, with a word to those who are connected."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def remove(self) -> None:
        """End it and leave nothing behind."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", f"{self.folder}/data", *arguments]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        with open(self.folder / "errors", "w+") as errors:
            done = subprocess.run(command, cwd="/", stderr=errors, check=False, **quiet, **self._as)
            errors.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{program}: {errors.read().strip()}")
