"""The page of methods: what the numbers mean, the protocols, the suite, and the versions of all of it."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import streamlit as st

from harness.protocol import PROTOCOLS, Protocol
from harness.registry import find_task, suite, suite_id
from harness.stats import FEW, FULL
from harness.store.schema import REVISION

_TEXT = Path(__file__).with_name("methods.md")
_WAYS = {"fixed": "one model per gap", "mixed": "one model, gaps drawn log-uniformly up to the largest"}


def page() -> None:
    """Draw the page."""
    st.title("Methods")
    text = _TEXT.read_text(encoding="utf-8")
    st.markdown(text.replace("{few}", f"{FEW}").replace("{full}", f"{FULL}"))
    st.subheader("Protocols")
    st.markdown(
        "What a fair comparison is; a change makes another version. Options such as `--updates` vary a "
        "protocol; results are then recorded under an id that says so, and never mixed with the named one."
    )
    st.table(pd.DataFrame({protocol.id: _facts(protocol) for protocol in PROTOCOLS.values()}))
    st.subheader(f"Suite {suite_id()}")
    tasks = [find_task(task) for task in suite()]
    st.dataframe(
        pd.DataFrame(
            {
                "task": [task.id for task in tasks],
                "it asks a cell to": [task.ability for task in tasks],
                "smallest gap": [task.min_gap for task in tasks],
                "chance": [task.chance(max(task.min_gap, 16)) for task in tasks],
                "source": [task.source for task in tasks],
            }
        ),
        hide_index=True,
        height=35 * (len(tasks) + 1) + 3,
        column_config={"chance": st.column_config.NumberColumn(format="percent")},
    )
    st.subheader("Versions")
    st.markdown(
        f"harness {_release()}, store revision {REVISION}, streamlit {st.__version__}. "
        "Every run is recorded with the commit, the version of torch and the device that made it: "
        "`harness db export` writes them all."
    )


def _facts(protocol: Protocol) -> dict[str, str]:
    """A protocol in words."""
    betas = f"{protocol.beta1:g}, {protocol.beta2:g}"
    return {
        "Training": _WAYS[protocol.train],
        "Gaps scored": ", ".join(map(str, protocol.gaps)),
        "Largest gap trained": f"{protocol.max_gap}",
        "Cell parameters, at most": f"{protocol.budget:,}",
        "Updates": f"{protocol.updates:,}",
        "Batch size": f"{protocol.batch_size}",
        "Learning rates": ", ".join(f"{rate:g}" for rate in protocol.lr),
        "Optimizer": f"Adam ({betas}), gradient norm at most {protocol.clip:g}",
        "Repetitions": f"{protocol.repetitions}, or more",
        "Rows scored per gap and split": f"{protocol.rows:,}",
        "Stops when": f"accuracy ≥ {protocol.solved_accuracy:g} at {protocol.solved_checks} checks in a row",
    }


def _release() -> str:
    try:
        return version("recurrent-harness")
    except PackageNotFoundError:
        return "of a checkout"
