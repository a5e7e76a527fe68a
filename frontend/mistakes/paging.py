"""The way to the other pages of a gallery."""

from __future__ import annotations

import streamlit as st

from frontend.mistakes import state


def paging(page: int, *, has_more: bool) -> None:
    """Back and more; nothing where all digits are on one page."""
    if page == 1 and not has_more:
        return
    st.button("Back", disabled=page == 1, on_click=state.turn_to, args=(page - 1,), key="mistakes_back")
    st.button("More", disabled=not has_more, on_click=state.turn_to, args=(page + 1,), key="mistakes_more")
