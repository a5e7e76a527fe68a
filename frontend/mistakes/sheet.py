"""Sixteen random mistakes as the classic script shows them, to look at and to keep as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from digits.client.choices import MisclassifiedOrder
from digits.client.errors import ClientError
from digits.client.records import MisclassifiedDigit

from frontend import connection, figure, style
from frontend.mistakes import source
from frontend.mistakes.view import View

SIXTEEN = figure.ROWS * figure.COLUMNS
DEFAULT_DPI = 150

_SEED = "mistakes_sheet_seed"


@st.fragment
def sheet(view: View, evaluation_id: str) -> None:
    """The figure of sixteen of the mistakes that the view shows, and its file at a chosen resolution."""
    st.subheader("Sixteen at random")
    seed: int = st.session_state.setdefault(_SEED, 1)
    # Whichever digit is open and whichever page is shown, the figure stays the same.
    chosen = replace(view.listing, order=MisclassifiedOrder.RANDOM, seed=seed)
    try:
        digits = source.mistakes(chosen, SIXTEEN).digits
    except ClientError as error:
        connection.note(error)
        style.notice(error.message)
        return
    st.image(
        _png(evaluation_id, chosen, digits, DEFAULT_DPI),
        width="stretch",
        alt="; ".join(figure.title(digit) for digit in digits) or "No mistakes",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("Another sixteen", icon=":material/shuffle:", on_click=_another, key="mistakes_another")
        dpi = st.number_input(
            "Dots per inch",
            figure.MIN_DPI,
            figure.MAX_DPI,
            value=DEFAULT_DPI,
            key="mistakes_dpi",
            persist_state="session",
            width=140,
        )
        st.download_button(
            # The label tells what the file is: a click that overtakes a new number gets the old one.
            f"PNG at {dpi} dpi",
            icon=":material/download:",
            data=_png(evaluation_id, chosen, digits, dpi),
            file_name=f"mistakes-{dpi}dpi.png",
            mime="image/png",
            on_click="ignore",
            key="mistakes_png",
        )


@st.cache_data(max_entries=16, show_spinner=False)
def _png(evaluation_id: str, view: View, _digits: Sequence[MisclassifiedDigit], dpi: int) -> bytes:
    """The figure as a file. An evaluation never changes: it and the view stand for the digits."""
    return figure.figure_png(_digits, dpi)


def _another() -> None:
    st.session_state[_SEED] += 1
