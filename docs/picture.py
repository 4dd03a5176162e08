"""Draw the README's picture from a store: `python docs/picture.py results.db`. Needs the extra `dev`."""

import sys
from pathlib import Path

from harness.charts import curve_chart
from harness.stats import curves
from harness.store import Store

TASK, PROTOCOLS = "gap-copy@1", ("quick@1", "quick-mixed@1")


def main(store: Store) -> None:
    """Write gap-copy.png beside this file."""
    import pandas as pd

    scores = pd.concat([store.scores(task=TASK, protocol=protocol) for protocol in PROTOCOLS])
    chart = curve_chart(curves(scores)).properties(background="white")
    chart.save(Path(__file__).with_name("gap-copy.png"), scale_factor=1.5)


if __name__ == "__main__":
    main(Store.open(sys.argv[1] if len(sys.argv) > 1 else None, create=False))
