"""Digits whose label a version holds for wrong: to mark those that are, and to see what that changes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from digits.client.records import LikelyLabelErrors, Model

from frontend import style, wording
from frontend.gallery import gallery
from frontend.mistakes import accuracy, detail, marking, source, state, subject
from frontend.mistakes.paging import paging
from frontend.mistakes.view import View


def labels(view: View, models: Sequence[Model]) -> None:
    """The whole part. Raises ClientError."""

    def ask(token: str) -> LikelyLabelErrors:
        return source.label_errors(view, source.TILES, token)

    found, page = source.turn(view, ask)
    _accuracies(found)
    st.subheader("Is the label wrong?")
    marking.problem()
    if not found.digits:
        style.empty(
            "No label looks wrong.", "This version reads every digit as its label says. Try another version."
        )
        return
    doubted = wording.count(found.total_size, "label")
    style.lead(
        f"Version {view.model_version} holds {doubted} for more likely wrong "
        "than right; the surest come first. Where you agree, say so. The data set is never changed."
    )
    subjects = [subject.of_label_error(digit, view.model_version) for digit in found.digits]
    shelf = subject.Shelf(view, subjects, (page - 1) * source.TILES + 1, found.total_size, ask, models)
    by_index = {digit.index: digit for digit in found.digits}

    def toggle(index: int) -> None:
        digit = by_index[index]
        if digit.is_marked_mislabelled:
            marking.unmark(view.dataset, index)
        else:
            marking.mark(view.dataset, index, digit.suggested_label)

    gallery(
        [subject.label_tile(digit) for digit in found.digits],
        key="mistakes_label_gallery",
        label=f"Likely label errors {shelf.shown}",
        on_open=state.open_digit,
        on_action=toggle,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<span class="lead">{shelf.shown}</span>', width="content")
        paging(page, has_more=bool(found.next_page_token))
    detail.show(shelf)


def _accuracies(found: LikelyLabelErrors) -> None:
    """The accuracy on all digits, and below it without the marked ones; the line is always there."""
    evaluation = found.evaluation
    without = accuracy.without_marked(evaluation)
    everything = accuracy.with_all(evaluation, f"All {wording.count(evaluation.images, 'digit')}")
    if without is None:
        st.html(accuracy.scale_html([everything], "Without the marked ones: none is marked yet."))
    else:
        st.html(accuracy.scale_html([everything, without]))
