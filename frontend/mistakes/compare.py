"""Two versions on the same digits: what one fixes, what it breaks, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from digits.client.choices import ComparisonOutcome
from digits.client.records import Comparison, Evaluation, Model

from frontend import style, wording
from frontend.confusion import difference_matrix
from frontend.gallery import gallery
from frontend.mistakes import accuracy, curves, detail, source, state, subject, words
from frontend.mistakes.paging import paging
from frontend.mistakes.view import View

OUTCOMES: Mapping[ComparisonOutcome, str] = {
    ComparisonOutcome.FIXED: "Fixed",
    ComparisonOutcome.BROKEN: "Newly broken",
    ComparisonOutcome.BOTH_WRONG: "Both wrong",
}


def compare(view: View, evaluations: tuple[Evaluation, Evaluation], models: Sequence[Model]) -> None:
    """The whole part; `evaluations` are the base's and the candidate's. Raises ClientError."""

    def ask(token: str) -> Comparison:
        return source.comparison(view, source.TILES, token)

    found, page = source.turn(view, ask)
    _headline(found, evaluations)
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        st.subheader("What is read differently")
        difference_matrix(
            found.confusion_difference,
            chosen=view.true_digit,
            key="mistakes_difference",
            on_pick=lambda cell: state.choose_digit(cell.true_digit),
        )
    with right:
        st.subheader("The digits")
        _filters(view, found)
        _browse(view, found, page, models)
    by_version = {model.model_version: model for model in models}
    curves.side_by_side(by_version[view.base_version], by_version[view.model_version])


def _headline(found: Comparison, evaluations: tuple[Evaluation, Evaluation]) -> None:
    st.html(
        f'<p class="mistakes-headline">{found.fixed:,} fixed, <span>{found.broken:,}</span> newly broken</p>'
        f'<p class="lead">Of {found.images:,} digits, {found.both_wrong:,} are misread by both, '
        f"{found.both_right:,} by neither.</p>"
        + accuracy.scale_html(
            [accuracy.with_all(each, f"Version {each.model_version}") for each in evaluations]
        )
        + f'<p class="mistakes-verdict">{words.verdict(found)}</p>'
    )


def _filters(view: View, found: Comparison) -> None:
    counts = {
        ComparisonOutcome.FIXED: found.fixed,
        ComparisonOutcome.BROKEN: found.broken,
        ComparisonOutcome.BOTH_WRONG: found.both_wrong,
    }
    every = found.fixed + found.broken + found.both_wrong
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "What became of them",
            [ComparisonOutcome.UNSPECIFIED, *OUTCOMES],
            format_func=lambda one: f"{OUTCOMES[one]} {counts[one]:,}" if one else f"All {every:,}",
            required=True,
            wrap=True,
            **state.bind("outcome", view.outcome),
            width="content",
        )
        st.selectbox(
            "True digit",
            (None, *range(10)),
            format_func=lambda digit: "any" if digit is None else str(digit),
            placeholder="any",
            **state.bind("true_digit", view.true_digit),
            width=110,
        )


def _browse(view: View, found: Comparison, page: int, models: Sequence[Model]) -> None:
    if not found.digits:
        style.empty("No digit here.", "Choose another outcome, or another true digit.")
        return

    def ask(token: str) -> Comparison:
        return source.comparison(view, source.TILES, token)

    subjects = [subject.of_compared(digit, view.base_version, view.model_version) for digit in found.digits]
    shelf = subject.Shelf(view, subjects, (page - 1) * source.TILES + 1, found.total_size, ask, models)
    gallery(
        [subject.compared_tile(digit, view.base_version, view.model_version) for digit in found.digits],
        key="mistakes_compared_gallery",
        label=f"Digits {shelf.shown}",
        on_open=state.open_digit,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = f"{shelf.first:,}–{shelf.last:,} of {wording.count(shelf.total, 'digit')}"
        st.html(f'<span class="lead">{shown}</span>', width="content")
        paging(page, has_more=bool(found.next_page_token))
    detail.show(shelf)
