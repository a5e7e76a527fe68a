"""The mistakes themselves: what is filtered, in which order, a page of tiles, and all of it as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from digits.client.records import Model

from frontend import style, wording
from frontend.gallery import gallery
from frontend.mistakes import detail, source, state, subject
from frontend.mistakes.csv_file import to_csv
from frontend.mistakes.paging import paging
from frontend.mistakes.view import ORDERS, View

ANY_DIGIT: Sequence[int | None] = (None, *range(10))


def filters(view: View) -> None:
    """Choose which mistakes are shown, and in which order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for label, field in (("True digit", "true_digit"), ("Read as", "predicted_digit")):
            st.selectbox(
                label,
                ANY_DIGIT,
                format_func=lambda digit: "any" if digit is None else str(digit),
                placeholder="any",
                **state.bind(field, getattr(view, field)),
                width=110,
            )
        st.selectbox(
            "Order",
            list(ORDERS),
            format_func=lambda order: ORDERS[order],
            **state.bind("order", view.order),
            width=220,
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.slider(
            "Confidence of the wrong answer",
            0,
            100,
            format="%d %%",
            **state.bind("low_high", (view.low, view.high), "low", "high"),
        )
        st.button("Shuffle", icon=":material/shuffle:", on_click=state.shuffle, key="mistakes_shuffle")
        st.button(
            "Show all",
            icon=":material/filter_alt_off:",
            on_click=state.clear,
            disabled=not view.is_filtered,
            key="mistakes_clear",
        )


def browse(view: View, models: Sequence[Model]) -> None:
    """A page of tiles, and the way to the other pages. Raises ClientError."""

    def ask(token: str) -> source.Listed:
        return source.mistakes(view, source.TILES, token)

    found, page = source.turn(view, lambda token: source.mistakes(view, source.TILES, token))
    if not found.digits:
        style.empty("No mistake passes these filters.", "Widen them, or show all.")
        return
    subjects = [subject.of_mistake(digit, view.model_version) for digit in found.digits]
    shelf = subject.Shelf(view, subjects, (page - 1) * source.TILES + 1, found.total_size, ask, models)
    gallery(
        [subject.mistake_tile(each) for each in subjects],
        key="mistakes_gallery",
        label=f"Mistakes {shelf.shown}",
        on_open=state.open_digit,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = f"{shelf.first:,}–{shelf.last:,} of {wording.count(shelf.total, 'mistake')}"
        st.html(f'<span class="lead">{shown}</span>', width="content")
        paging(page, has_more=bool(found.next_page_token))
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
    detail.show(shelf)
