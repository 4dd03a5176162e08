"""What Streamlit runs: the frame around the pages. `harness dashboard` starts it."""

from pathlib import Path

import streamlit as st

from dashboard import cell, gap_curves, leaderboard, methods, results, runs, task

st.set_page_config(page_title="harness", page_icon="〰️", layout="wide")
st.html(Path(__file__).with_name("style.css"))
page = st.navigation(
    [
        st.Page(leaderboard.page, title="Leaderboard", url_path="first", default=True),
        st.Page(leaderboard.page, title="Leaderboard", url_path="leaderboard", visibility="hidden"),
        st.Page(gap_curves.page, title="Gap curves", url_path="gap-curves"),
        st.Page(cell.page, title="Cell", url_path="cell"),
        st.Page(task.page, title="Task", url_path="task"),
        st.Page(runs.page, title="Runs", url_path="runs"),
        st.Page(methods.page, title="Methods", url_path="methods"),
    ],
    position="top",
)
with results.explaining():
    page.run()
