"""One digit, large, in a dialog: what was read and why, what it is like, and whether its label is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from frontend import style, wording
from frontend.mistakes import evidence, marking, source, state
from frontend.mistakes.detail_html import detail_html
from frontend.mistakes.subject import Shelf, Subject
from frontend.mistakes.view import Part

_EDGE = "mistakes_detail_edge"
_EXPLAINED = "mistakes_detail_explained"
FIRST, LAST = 0, -1


def show(shelf: Shelf) -> None:
    """Show the detail of the view's digit, if it has one; the others can be leafed through from there.

    It stays open until it is closed, also when the page runs again, as after a moment without the server.
    A digit that is on another page of the list is looked for. Raises ClientError.
    """
    edge = st.session_state.pop(_EDGE, None)
    if edge is not None and shelf.subjects:
        state.open_digit(shelf.subjects[edge].index)
    index = state.view().digit
    if index is None:
        return
    subject = _subject(shelf.subjects, index)
    if subject is None:
        _look_elsewhere(shelf, index)
        return
    # Before the dialog is there, so that it opens with everything in it.
    _evidence(shelf, subject)
    _dialog(shelf)


def _look_elsewhere(shelf: Shelf, index: int) -> None:
    number = source.page_of(index, shelf.ask)
    if number is None:
        state.open_digit(None)
        style.notice(f"Image {index:,} is not among these digits.")
        return
    state.turn_to(number)
    state.open_digit(index)
    st.rerun()


def _close() -> None:
    state.open_digit(None)


@st.dialog("One digit", width="large", on_dismiss=_close)
def _dialog(shelf: Shelf) -> None:
    if _EDGE in st.session_state:
        st.rerun()  # Past the end of this page of the list.
    index = state.view().digit
    subject = next((each for each in shelf.subjects if each.index == index), shelf.subjects[0])
    state.write_address(replace(shelf.view, digit=subject.index))
    _leaf(shelf, subject)
    _evidence(shelf, subject)
    if evidence.is_waiting():
        _parts_in_time(shelf, subject)
    else:
        _parts(shelf, subject)
    marking.panel(shelf.view.dataset, subject)


def _parts(shelf: Shelf, subject: Subject) -> None:
    html = detail_html(subject, _evidence(shelf, subject), _explained(subject), _facts(shelf, subject))
    _mount(key="mistake_detail", data={"html": html}, on_explain_change=_explain_other)


@st.fragment(run_every=evidence.POLL_S)
def _parts_in_time(shelf: Shelf, subject: Subject) -> None:
    """The same, again and again until the digits that are alike have come."""
    _parts(shelf, subject)
    if not evidence.is_waiting():
        st.rerun()


def _leaf(shelf: Shelf, subject: Subject) -> None:
    """Previous and next, where they stay in place whatever comes below."""
    number = shelf.first + shelf.subjects.index(subject)
    indices = [each.index for each in shelf.subjects]
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="mistake_leaf"
    ):
        st.button(
            "Previous",
            icon=":material/chevron_left:",
            disabled=number == 1,
            on_click=_step,
            args=(indices, -1),
            key="mistake_detail_previous",
            shortcut="Left",
        )
        st.caption(f"{number:,} of {shelf.total:,}", width="content")
        st.button(
            "Next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=number == shelf.total,
            on_click=_step,
            args=(indices, 1),
            key="mistake_detail_next",
            shortcut="Right",
        )


def _step(indices: Sequence[int], step: int) -> None:
    """Open the digit before or after the one of this moment: a quick key press before has moved it on."""
    now = state.view()
    place = (indices.index(now.digit) if now.digit in indices else 0) + step
    if 0 <= place < len(indices):
        state.open_digit(indices[place])
    else:
        state.turn_to(max(1, now.page + step))
        st.session_state[_EDGE] = FIRST if step > 0 else LAST


def _explained(subject: Subject) -> int:
    """The digit whose probability is explained: what was read, unless the visitor asked for its rival."""
    chosen: tuple[int, int] | None = st.session_state.get(_EXPLAINED)
    if chosen is not None and chosen[0] == subject.index and chosen[1] in (subject.read, subject.rival):
        return chosen[1]
    return subject.read


def _explain_other() -> None:
    st.session_state[_EXPLAINED] = (state.view().digit, st.session_state["mistake_detail"]["explain"])


def _evidence(shelf: Shelf, subject: Subject) -> evidence.Evidence:
    beside = shelf.view.base_version if shelf.view.part is Part.COMPARE else 0
    return evidence.collect(subject, _explained(subject), shelf.models, beside)


def _facts(shelf: Shelf, subject: Subject) -> str:
    parts = [
        f"Image {subject.index:,} of the {wording.DATASETS[shelf.view.dataset]}",
        f"version {subject.version}",
    ]
    if subject.loss is not None:
        parts.append(f"loss {subject.loss:.2f} nats")
    if subject.is_misread:
        margin = subject.probabilities[subject.read] - subject.probabilities[subject.label]
        parts.append(f"margin {margin * 100:.1f} points")
    return " · ".join(parts)


def _subject(subjects: Sequence[Subject], index: int) -> Subject | None:
    return next((each for each in subjects if each.index == index), None)


_HERE = Path(__file__).parent
# A component, not HTML: a dialog stands outside of the part of the page that knows the style sheet's colours.
_mount = st.components.v2.component(
    "digit_detail",
    html='<div class="place"></div>',
    css=(_HERE / "detail.css").read_text("utf-8"),
    js=(_HERE / "detail.js").read_text("utf-8"),
)
