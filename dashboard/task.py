"""The page of a task: what it measures, what it looks like at a gap, and all cells on it."""

from html import escape

import streamlit as st

from dashboard import choice, drawn, numbers, results
from harness.charts import QUESTION
from harness.errors import UserError
from harness.registry import find_task, suite
from harness.task import Role, Task, phrases

_SAMPLES = 3
_LARGEST = 1024
_ROLES = {
    Role.PREFIX: "before it",
    Role.CUE: "cue: what is to be remembered",
    Role.DECOY: "decoy: what may be taken for it",
    Role.FILLER: "filler",
    Role.QUESTION: "question",
}


def page() -> None:
    """Draw the page."""
    st.title("Task")
    held = results.opened(empty=True)
    entries = held.entries()
    task = choice.one("Task", numbers.tasks([*suite(), *entries["task"]]), "task")
    try:
        _show(find_task(task))
    except UserError as error:
        _remember(held, task, error)
    entries = entries[entries["task"] == task]
    st.subheader("All cells on it")
    if entries.empty:
        st.info("There are no results on this task yet.")
        st.code(f"harness run --cell all --task {task}", language="bash")
        return
    protocol = choice.one("Protocol", sorted(set(entries["protocol"]), key=numbers.order), "protocol")
    points, summary, failures = held.curves(task, [protocol], None)
    drawn.legend(sorted(set(points["cell"])))
    numbers.panels([(QUESTION[points["train"].iloc[0]].capitalize(), points)], columns=1, height=400)
    numbers.table(points, summary, ["cell"])
    numbers.behind(points, task)
    numbers.list_failures(failures)


def _show(task: Task) -> None:
    """What it measures, with samples at a gap."""
    st.markdown(f"It asks a cell to **{drawn.words(task.ability)}**.")
    chance = task.chance(max(task.min_gap, 16))
    st.markdown(f"Chance {chance:.1%}, gaps from {task.min_gap}. Source: {drawn.words(task.source)}")
    if task.expected_failures:
        st.info(numbers.excused(task.expected_failures, "Expected to fail, of the checks of tasks"))
    with st.expander("How its samples are made"):
        st.code(type(task).__doc__ or "", language=None, wrap_lines=True)
    left, right = st.columns(2)
    with left:
        gap = choice.whole("Gap (tokens)", "gap", max(16, task.min_gap), task.min_gap, _LARGEST)
    with right:
        first = choice.whole("Sample", "sample", 1, 1, 10_000)
    batch = task.batch("train", 0, gap, first - 1, _SAMPLES)
    rows = [task.render(batch, row) for row in range(_SAMPLES)]
    present = sorted({span.role for row in rows for span in row})
    legend = "".join(f"<div>{_marked(role, _ROLES[role])}</div>" for role in present)
    answer = "<div><mark class=answer>answer</mark></div>"
    st.html(f"<div class='sample legend'>{legend}{answer}</div>")
    for row in rows:
        words = "".join(_marked(role, text) for role, text in phrases(row))
        answers = " ".join(
            f"<mark class=answer title=answer>{escape(span.answer)}</mark>" for span in row if span.answer
        )
        st.html(f"<div class=sample>{words} → {answers}</div>")
    st.caption(
        f"Training samples at a gap of {gap}: so many tokens lie between the last one of the cue and the "
        "first at which an answer is asked."
    )


def _marked(role: Role, text: str) -> str:
    name = role.name.lower()
    space = " " if text.startswith(" ") else ""
    return f"{space}<mark class={name} title={name}>{escape(text.strip())}</mark>"


def _remember(held: results.Results, task: str, error: UserError) -> None:
    """What the store has of a task that is not here."""
    st.warning(f"There are results of it, but no samples: {drawn.words(str(error))}")
    if card := held.card("task", task):
        st.code(card.docstring, language=None, wrap_lines=True)
        with st.expander("Source"):
            st.code(card.source, language="python")
