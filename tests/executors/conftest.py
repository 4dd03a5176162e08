"""What the executors' tests share: small jobs of cells that fare well and ill."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import plugin_cells
import pytest

from harness.executors import Job
from harness.protocol import QUICK
from harness.registry import find_cell

SMALL = replace(QUICK, updates=3, batch_size=4, rows=8, gaps=(2,))


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Callable[..., Job]:
    """job("rnn") or job("raising"): a registered cell or a plugin, two members, three updates at gap 2."""
    folder = tmp_path_factory.mktemp("cells")

    def make(name: str = "rnn", **other: Any) -> Job:
        plugin = name in plugin_cells._BODIES
        spec = find_cell(plugin_cells.write(folder, name) if plugin else name)
        rules = {key: other.pop(key) for key in list(other) if hasattr(SMALL, key)}
        made = Job(
            cell=spec.reference,
            cell_version=spec.file.version,
            task="gap-copy@1",
            protocol=asdict(replace(SMALL, **rules)),
            hidden_size=4,
            gap=2,
            members=((0, 0.01), (1, 0.01)),
            cost=8.0 * 3 * 2,
        )
        return replace(made, **other)

    return make
