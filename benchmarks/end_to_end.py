"""What `harness run` takes as a whole, into an empty store, and the share of it that is not the engine's.

cold       on a machine that has never compiled: the compiler's caches are empty
warm       the same command again, into another empty store
said       what `harness run` says before it starts: how long it will take, where that is over 10 seconds
imports    its processes importing what they need, all at once as they do, and nothing else
outside    the share of the workers' time, once imports are done, in which no population trains or is
           scored: 1 − engine seconds / (workers · (seconds − imports)). What a compiled engine imports
           and compiles counts as the engine's
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _measure
import click

from harness.registry import ROOT

DRIVER = "import torch, pandas, sqlalchemy, harness.cli.run, harness.runner, harness.model, harness.engine"
WORKER = "import harness.executors.worker, torch, harness.engine"
COLUMNS = {
    "run": ("run", "{}"),
    "seconds": ("seconds", "{:.1f}"),
    "said": ("said", "{:.0f}"),
    "of these imports": ("imports", "{:.1f}"),
    "engine": ("engine_seconds", "{:.1f}"),
    "workers": ("workers", "{}"),
    "outside": ("outside", "{:.1%}"),
}
"""Headings of the table."""
UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86_400}


def imports(workers: int) -> float:
    """Seconds until a driver and its workers, started together, have imported what they need."""
    began = time.perf_counter()
    codes = [DRIVER] + [WORKER] * workers
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for code in codes]
    for process in processes:
        if process.wait() != 0:
            raise click.ClickException("a process could not import the harness")
    return time.perf_counter() - began


def run(arguments: tuple[str, ...], store: Path, caches: Path) -> tuple[float, float, float | None]:
    """Seconds of `harness run` into this store, with these caches; seconds of engine, all workers'; and the
    seconds that it said it would take.
    """
    command = [sys.executable, "-m", "harness", "run", *arguments, "--db", str(store), "--json"]
    places = {"XDG_CACHE_HOME": str(caches), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor")}
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise click.ClickException(f"harness run ended with exit code {done.returncode}: {done.stderr}")
    told = re.search(r"^about ([\d.]+) (\w+):", done.stderr, re.MULTILINE)
    said = float(told[1]) * UNITS[told[2]] if told else None
    return seconds, sum(json.loads(line)["seconds"] for line in done.stdout.splitlines()), said


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="A JSON object for the cold run and one for the warm.")
def main(arguments: tuple[str, ...], as_json: bool) -> None:
    """Time `harness run ARGUMENTS`, cold and warm; `--cell gru --task gap-copy` if none are given.

    \b
    Example: python benchmarks/end_to_end.py --cell lstm --task gap-copy --updates 200
    """
    machine = _measure.machine()
    arguments = arguments or ("--cell", "gru", "--task", "gap-copy")
    workers = machine["cores"]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "warm"):
            seconds, engine, said = run(arguments, Path(folder, f"{name}.db"), Path(folder, "caches"))
            rows.append({"run": name, "seconds": seconds, "said": said})
            rows[-1] |= {"engine_seconds": engine, "workers": workers}
    apart = min(imports(workers) for _ in range(3))
    for row in rows:
        row["imports"] = apart
        row["outside"] = 1 - row["engine_seconds"] / (workers * (row["seconds"] - apart))
    _measure.show(f"harness run {' '.join(arguments)}", rows, COLUMNS, machine, as_json)


if __name__ == "__main__":
    main()
