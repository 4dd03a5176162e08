"""`harness dashboard`."""

import importlib
import os
import socket
import sys
import threading
from contextlib import suppress

import click

from harness.cli._options import db_option
from harness.colours import colour
from harness.errors import UserError
from harness.registry import ROOT, find_task, suite


@click.command("dashboard")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port to serve at.  [default: 8501 or the next]"
)
@db_option
@click.option("--no-browser", is_flag=True, help="Serve only, and open no browser.")
def command(port: int | None, db: str | None, no_browser: bool) -> None:
    """Open the dashboard in a browser; Ctrl-C ends it. New results appear by themselves.

    It has the leaderboard, gap curves, a page for every cell and task, what is running now, and the methods.
    Every choice is in the address, which can be shared.

    \b
    Example: harness dashboard --db shared/results.db
    """
    from harness.store.database import Database

    Database(db).revision()  # says now, in one line, what the page could only say later
    if db is not None:
        os.environ["HARNESS_DB"] = db
    if port is not None and _taken(port):
        raise UserError(f"port {port} is taken: give another with --port")
    threading.Thread(target=_import_ahead, daemon=True).start()
    from streamlit.web import cli as streamlit

    sys.path.insert(0, str(ROOT))  # our `dashboard`, whatever the current folder calls so
    options = {
        "server.address": "localhost",
        "server.headless": no_browser,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "theme.light.primaryColor": colour("gru"),
        "theme.dark.primaryColor": colour("gru"),
    } | ({} if port is None else {"server.port": port})
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    streamlit.main(["run", str(ROOT / "dashboard" / "app.py"), *flags], standalone_mode=False)


def _import_ahead() -> None:
    """Import what the pages need while the server starts, so that the first visitor does not wait for it."""
    for name in ("scipy.special", "harness.board", "harness.charts"):
        importlib.import_module(name)
    with suppress(UserError):  # a page says so, where it is met
        [find_task(task).min_gap for task in suite()]  # the grammar of those in English is made for it


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0
