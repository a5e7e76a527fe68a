"""The frame of every page: look, navigation, connection banner. Run by `streamlit run frontend/app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from frontend import connection, last_events, own_files, style

PAGES = Path(__file__).parent / "app_pages"

last_events.keep()
st.set_page_config(page_title="Digit Lab", page_icon=style.ICON, layout="wide")
style.apply()

pages = [
    st.Page(PAGES / "draw.py", title="Draw", default=True),
    st.Page(PAGES / "mistakes.py", title="Mistakes"),
    st.Page(PAGES / "my_digits.py", title="My digits"),
    st.Page(PAGES / "train.py", title="Train"),
    st.Page(PAGES / "models.py", title="Models"),
]
# Streamlit's own navigation hides behind a button on a phone; five short words fit into a line.
page = st.navigation(pages, position="hidden")
# Whether this run is the first one on its page, so that a page can drop what was news on an earlier visit.
st.session_state["has_arrived"] = st.session_state.get("page") != page.title
st.session_state["page"] = page.title
with st.container(horizontal=True, vertical_alignment="center", key="masthead"):
    st.html('<span class="wordmark"><i aria-hidden="true">7</i><b>Digit Lab</b></span>', width="content")
    for each in pages:
        st.page_link(each, width="content")
if own_files.fault():
    own_files.wait()
    st.stop()
connection.banner()
page.run()
