"""Write what the README shows of the reference results, a table and a picture: `python docs/reference.py`.

Needs the extra `dev`. The picture carries the hash of the points that are drawn, so that a test can tell
whether they are those of the results.
"""

import hashlib
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness import board, exchange, stats
from harness.charts import curve_chart
from harness.protocol import QUICK, QUICK_MIXED
from harness.store import Store

if TYPE_CHECKING:
    import pandas as pd

README = Path(__file__).parent.parent / "README.md"
PICTURE = Path(__file__).with_name("gap-copy.png")
TASK, PROTOCOLS = "gap-copy@1", (QUICK.id, QUICK_MIXED.id)
MARKS = ("<!-- reference: written by docs/reference.py -->\n", "<!-- end of reference -->\n")
_STAMP = b"tEXtpoints\0"


def table(store: Store) -> Iterator[str]:
    """The lines of the table: the cells in the order of the board with ranks, a row each; what a dash is."""
    mixed, fixed = (board.read(store, protocol.id) for protocol in (QUICK_MIXED, QUICK))
    beside = {row.cell: row for row in fixed.rows.itertuples()}
    yield f"| rank | cell | score, {QUICK_MIXED.id} | horizon | score, {QUICK.id} | horizon | state floats |"
    yield "|--:|---|--:|--:|--:|--:|--:|"
    whole = True
    for row in mixed.rows.itertuples():
        other = beside.get(row.cell)
        reached = _reached(row, mixed) + (_reached(other, fixed) if other else ["–", "–"])
        cells = [stats.rank_text(row)[0].replace("*", r"\*"), f"`{row.cell}`", *reached]
        yield f"| {' | '.join(cells)} | {row.state_floats:,} |"
        whole = whole and "–" not in reached
    if not whole:
        yield ""
        yield "A dash stands for what has not been measured on all tasks yet."


def _reached(row, of: board.Board) -> list[str]:  # type: ignore[no-untyped-def]
    """A row's score with its interval, and its horizon."""
    if not row.repetitions:
        return ["–", "–"]
    horizon = stats.horizon_text(row.horizon_gap, row.horizon_censored, [of.terms.smallest])
    return [f"{row.score:.3f} [{row.low:.3f}, {row.high:.3f}]", horizon]


def written(readme: str, store: Store) -> str:
    """The README with the table in its place."""
    lines = "".join(f"{line}\n" for line in table(store))
    begin, end = MARKS
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{begin}\n{lines}\n{end}", readme, count=1, flags=re.DOTALL)


def points(store: Store) -> "pd.DataFrame":
    """The points of the picture."""
    import pandas as pd

    scores = [store.scores(task=TASK, protocol=protocol) for protocol in PROTOCOLS]
    return stats.curves(pd.concat(scores, ignore_index=True))


def stamp(drawn: "pd.DataFrame") -> str:
    """The hash of points."""
    text = drawn.to_csv(index=False, float_format="%.6f")
    return hashlib.sha256(text.encode()).hexdigest()


def draw(drawn: "pd.DataFrame", path: Path) -> None:
    """Write the picture, with the hash of its points."""
    curve_chart(drawn).properties(background="white").save(path, scale_factor=1.5)
    png, chunk = path.read_bytes(), _STAMP + stamp(drawn).encode()
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    header = 8 + 25  # the signature, and the first chunk
    path.write_bytes(png[:header] + whole + png[header:])


def stamped(path: Path) -> str | None:
    """The hash that a picture carries; None where it has none."""
    _, found, rest = path.read_bytes().partition(_STAMP)
    return rest[:64].decode() if found else None


def main() -> None:
    """Write the table into the README, and the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(str(Path(folder) / "reference.db"))
        store.add(exchange.read("reference"))
        README.write_text(written(README.read_text(encoding="utf-8"), store), encoding="utf-8")
        draw(points(store), PICTURE)


if __name__ == "__main__":
    main()
