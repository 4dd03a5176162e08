"""What Streamlit runs: the frame around the pages. `harness dashboard` starts it."""

import streamlit as st

from dashboard import gap_curves

st.set_page_config(page_title="harness", layout="wide")
st.navigation([st.Page(gap_curves.page, title="Gap curves")]).run()
