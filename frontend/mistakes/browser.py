"""The mistakes themselves: what is filtered, in which order, a page of tiles, and all of it as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend import style, wording
from frontend.gallery import gallery
from frontend.mistakes import detail, source, state
from frontend.mistakes.csv_file import to_csv
from frontend.mistakes.view import ORDERS, View
from frontend.records import MisclassifiedDigits

TILES = 100
ANY_DIGIT: Sequence[int | None] = (None, *range(10))

_TOKENS, _TOKENS_OF = "mistakes_tokens", "mistakes_tokens_of"


def filters(view: View) -> None:
    """Choose which mistakes are shown, and in which order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for label, field in (("True digit", "true_digit"), ("Read as", "predicted_digit")):
            st.selectbox(
                label,
                ANY_DIGIT,
                format_func=lambda digit: "any" if digit is None else str(digit),
                placeholder="any",
                key=state.bind(field, getattr(view, field)),
                on_change=state.changed(field),
                width=110,
            )
        st.selectbox(
            "Order",
            list(ORDERS),
            format_func=lambda order: ORDERS[order],
            key=state.bind("order", view.order),
            on_change=state.changed("order"),
            width=220,
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.slider(
            "Confidence of the wrong answer",
            0,
            100,
            format="%d %%",
            key=state.bind("low_high", (view.low, view.high)),
            on_change=state.changed("low", "high"),
        )
        st.button("Shuffle", icon=":material/shuffle:", on_click=state.shuffle, key="mistakes_shuffle")
        st.button(
            "Show all",
            icon=":material/filter_alt_off:",
            on_click=state.clear,
            disabled=not view.is_filtered,
            key="mistakes_clear",
        )


def browse(view: View) -> None:
    """A page of tiles, and the way to the other pages. Raises ClientError."""
    tokens = _tokens(view)
    found = source.mistakes(view, TILES, tokens[-1])
    if not found.digits:
        style.empty("No mistake passes these filters.", "Widen them, or show all.")
        return
    first = (len(tokens) - 1) * TILES + 1
    last = first + len(found.digits) - 1
    shown = f"{first:,}–{last:,} of {wording.count(found.total_size, 'mistake')}"
    tiles = [detail.tile(digit) for digit in found.digits]
    opened = gallery(tiles, key="mistakes_gallery", label=f"Mistakes {shown}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<span class="lead">{shown}</span>', width="content")
        _paging(tokens, found)
        st.download_button(
            "CSV",
            icon=":material/download:",
            help="All mistakes that pass the filters, with their ten probabilities",
            data=lambda: to_csv(source.every_mistake(view)),
            file_name=f"mistakes-version-{view.model_version}-{view.dataset.name.lower()}.csv",
            mime="text/csv",
            on_click="ignore",
            key="mistakes_csv",
        )
    if opened is not None:
        detail.open_at(opened)
    detail.show(found.digits)


def _paging(tokens: list[str], found: MisclassifiedDigits) -> None:
    if found.total_size <= TILES:
        return
    back, more = tokens[:-1], [*tokens, found.next_page_token]
    st.button("Back", disabled=not back, on_click=_turn, args=(back,), key="mistakes_back")
    st.button("More", disabled=not more[-1], on_click=_turn, args=(more,), key="mistakes_more")


def _tokens(view: View) -> list[str]:
    """The tokens of the pages from the first to the present one; another view begins at its first page."""
    if st.session_state.get(_TOKENS_OF) != view:
        st.session_state[_TOKENS_OF] = view
        _turn([""])
    tokens: list[str] = st.session_state[_TOKENS]
    return tokens


def _turn(tokens: list[str]) -> None:
    st.session_state[_TOKENS] = tokens
