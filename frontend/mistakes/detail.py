"""One digit, large, in a dialog: what was read and why, what it is like, and whether its label is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from frontend import style, wording
from frontend.mistakes import evidence, marking, source, state
from frontend.mistakes.detail_html import detail_html
from frontend.mistakes.leaf import leaf
from frontend.mistakes.subject import Shelf, Subject
from frontend.mistakes.view import Part

# Of a session: the place of the digit to open on the next page of the list; what was asked to be explained.
_PLACE = "mistakes_detail_place"
_EXPLAINED = "mistakes_detail_explained"


def show(shelf: Shelf) -> None:
    """Show the detail of the view's digit, if it has one; the others can be leafed through from there.

    It stays open until it is closed, also when the page runs again, as after a moment without the server.
    A digit that is on another page of the list is looked for. Raises ClientError.
    """
    place: int | None = st.session_state.pop(_PLACE, None)
    if place is not None and shelf.subjects:
        state.open_digit(shelf.subjects[min(place, len(shelf.subjects) - 1)].index)
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
    if _PLACE in st.session_state:
        st.rerun()  # On another page of the list.
    index = state.view().digit
    subject = next((each for each in shelf.subjects if each.index == index), shelf.subjects[0])
    state.write_address(replace(shelf.view, digit=subject.index))
    leaf(
        shelf.first + shelf.subjects.index(subject), shelf.total, key="mistake_leaf", on_turn=_open_nth(shelf)
    )
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


def _open_nth(shelf: Shelf) -> Callable[[int], None]:
    """Open the digit with this number, from 1, among all of the list."""

    def turn(number: int) -> None:
        place = number - shelf.first
        if 0 <= place < len(shelf.subjects):
            state.open_digit(shelf.subjects[place].index)
        else:
            page, st.session_state[_PLACE] = divmod(number - 1, source.TILES)
            state.turn_to(page + 1)

    return turn


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
