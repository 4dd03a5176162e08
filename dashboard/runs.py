"""The page of runs: what trains, what is left and until when, what failed. It refreshes by itself."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import drawn, results
from harness import status
from harness.errors import UserError
from harness.forecast import duration
from harness.store import Store

_RECENT = 20
_ENDS = ("timed-out", "out-of-memory", "killed", "interrupted")


def page() -> None:
    """Draw the page."""
    st.title("Runs")
    held = results.opened(empty=True)
    _live(held.store)
    failed = held.failed()
    st.subheader("Runs that failed")
    if failed.empty:
        st.markdown("None diverged, and no cell crashed.")
    else:
        st.markdown(f"Runs that diverged or crashed: {len(failed):,}. They are final, and count as chance.")
        _list_failed(failed.iloc[::-1].head(_RECENT))
        st.download_button(
            "Download all failed runs (CSV)",
            failed.drop(columns="provenance").to_csv(index=False),
            "failed-runs.csv",
            "text/csv",
        )


@st.fragment(run_every=results.REFRESH_SECONDS)
def _live(store: Store) -> None:
    """How far the plans are, the populations that train now, and how the last ones ended."""
    try:
        attempts, plans = store.attempts(), status.plans(store)
    except UserError as error:
        st.error(str(error))
        return
    now = pd.Timestamp.now("UTC")
    for plan in plans:
        st.subheader(drawn.words(plan.name))
        st.progress(plan.done / plan.runs, drawn.words(plan.words()))
        begun = f"Begun {duration(now.timestamp() - plan.started)} ago" if plan.started else ""
        st.caption(drawn.words(f"{begun} by process {plan.owner}"))
    running = status.running(attempts)
    st.subheader(f"Running now: {len(running)}")
    if not running:
        st.markdown("Nothing is being trained.")
    for row in running:
        left = row["seconds_left"]
        st.progress(
            row["progress"],
            f"{_label(row)}: {row['progress']:.0%}" + (f", about {duration(left)} left" if left else ""),
        )
        st.caption(
            f"{row['members']} {'member' if row['members'] == 1 else 'members'}, "
            f"begun {duration(row['seconds'])} ago by process {drawn.words(row['owner'])}, "
            f"last heard of {duration(row['heard_of'])} ago"
        )
    _last(attempts[attempts["outcome"].notna()], now)


def _label(row: dict[str, Any]) -> str:
    gap = "" if row["gap"] is None else f" · gap {row['gap']}"
    return drawn.words(f"{row['cell']} · {row['task']} · {row['protocol']}{gap}")


def _last(ended: pd.DataFrame, now: pd.Timestamp) -> None:
    """How the last attempts ended, those of which something is left apart, with what to do."""
    failed = ended[ended["outcome"].isin(_ENDS) & (ended["left"] > 0)]
    st.subheader("Unfinished")
    if failed.empty:
        st.markdown("Nothing is left of any attempt that ended.")
    else:
        st.markdown(
            f"Attempts that ended before they were done: {len(failed):,}. The same command tries what is "
            "left of them again; after three failures, with `--retry`."
        )
        _list(failed, now)
    st.subheader("Last finished")
    finished = ended[ended["outcome"] == "finished"]
    if finished.empty:
        st.markdown("Nothing yet.")
    else:
        _list(finished, now, "outcome", "progress", "reason")


def _gaps(rows: pd.DataFrame) -> list[str]:
    return ["mixed" if gap != gap else f"{gap:.0f}" for gap in rows["gap"]]


def _list_failed(runs: pd.DataFrame) -> None:
    frame = pd.DataFrame(
        {
            "run": runs["run"],
            "cell": runs["cell"],
            "task": runs["task"],
            "protocol": runs["protocol"],
            "gap": _gaps(runs),
            "learning rate": runs["lr"],
            "repetition": runs["repetition"],
            "outcome": runs["outcome"],
            "at update": runs["outcome_update"].astype("Int64"),
            "reason": runs["reason"].fillna(""),
        }
    )
    _show(frame)


def _show(frame: pd.DataFrame) -> None:
    st.dataframe(
        frame,
        hide_index=True,
        height=35 * (min(len(frame), 10) + 1) + 3,
        column_config={"progress": st.column_config.NumberColumn(format="percent")},
    )


def _list(attempts: pd.DataFrame, now: pd.Timestamp, *without: str) -> None:
    """The last of these attempts, less what is the same of all of them."""
    shown = attempts.sort_values("heartbeat", ascending=False).head(_RECENT)
    took = (shown["heartbeat"] - shown["started"]).dt.total_seconds()
    frame = pd.DataFrame(
        {
            "cell": shown["cell"],
            "task": shown["task"],
            "protocol": shown["protocol"],
            "gap": _gaps(shown),
            "members": shown["members"],
            "outcome": shown["outcome"],
            "progress": shown["progress"],
            "took": took.map(duration),
            "ended": [f"{duration((now - at).total_seconds())} ago" for at in shown["heartbeat"]],
            "reason": shown["reason"].fillna(""),
        }
    )
    _show(frame.drop(columns=list(without)))
