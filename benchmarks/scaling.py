"""How the cost of a population grows with the length of its sequences and with its members, and the memory
that a long one takes.

The population is trained as `harness run` does, in worker processes. Its memory is the peak of the workers,
added up, their code and torch's included.
"""

import statistics
from typing import Any

import _measure
import click

COLUMNS = {
    "cell": ("cell", "{}"),
    "H": ("hidden_size", "{}"),
    "P": ("members", "{}"),
    "T": ("length", "{}"),
    "update ms": ("update_ms", "{:.1f}"),
    "per member": ("member_ms", "{:.2f}"),
    "growth": ("growth", "{:.2f}×"),
    "peak GB": ("peak_gb", "{:.2f}"),
}
"""Headings of the table."""


def measure(
    cell: str, hidden_size: int, sizes: list[tuple[int, int]], engine: str, updates: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each size, members and length; growth is the cost of an update, that of the first being 1."""
    populations = [_measure.Workers(cell, hidden_size, members, length, engine) for members, length in sizes]
    seconds: list[list[float]] = [[] for _ in sizes]
    for _ in range(rounds):
        for times, population in zip(seconds, populations, strict=True):
            times.append(population.seconds(updates))
    rows = []
    for (members, length), times, population in zip(sizes, seconds, populations, strict=True):
        each = 1e3 * statistics.median(times)
        first = rows[0]["update_ms"] if rows else each * members
        rows.append(
            {
                "cell": cell,
                "hidden_size": hidden_size,
                "members": members,
                "length": length,
                "engine": engine,
                "update_ms": each * members,
                "member_ms": each,
                "growth": each * members / first,
                "peak_gb": population.peak_memory() / 1e9,
            }
        )
        population.stop()
    return rows


@click.command()
@click.option("--cell", default="gru", show_default=True)
@click.option("--hidden-size", default=64, show_default=True)
@click.option(
    "--lengths", default="100,200,500,1000", show_default=True, callback=_measure.numbers, help="T, rising."
)
@click.option(
    "--members", default="1,2,4,8,16,32", show_default=True, callback=_measure.numbers, help="P, rising."
)
@click.option(
    "--long", default=(32, 2000), show_default=True, type=(int, int), help="P and T whose memory is measured."
)
@click.option("--engine", default="compiled", show_default=True, help="eager or compiled.")
@click.option("--updates", default=4, show_default=True, help="Updates of a measurement.")
@click.option("--rounds", default=5, show_default=True, help="Measurements of each.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object per size.")
def main(
    cell: str,
    hidden_size: int,
    lengths: list[int],
    members: list[int],
    long: tuple[int, int],
    engine: str,
    updates: int,
    rounds: int,
    as_json: bool,
) -> None:
    """Cost against T at P = 8, against P at T = 100, and peak memory of a long one.

    \b
    Example: python benchmarks/scaling.py --lengths 100,1000 --members 8
    """
    machine = _measure.machine()
    parts = [[(8, length) for length in lengths], [(p, 100) for p in members], [long]]
    rows = [row for part in parts for row in measure(cell, hidden_size, part, engine, updates, rounds)]
    _measure.show(f"cost of an update, {engine}", rows, COLUMNS, machine, as_json)


if __name__ == "__main__":
    main()
