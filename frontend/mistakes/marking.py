"""Noting that a label is wrong, and taking that back: the data set keeps it, the mark lies over it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from digits.client.choices import Dataset
from digits.client.errors import ClientError

from frontend import connection, style, wording
from frontend.mistakes import source
from frontend.mistakes.subject import Subject

NO_DIGIT: int | None = None

_PROBLEM, _ASKED = "mistakes_marking_problem", "mistakes_marking_asked"
_SAID = "mistake_said_{}"


def mark(dataset: Dataset, index: int, correct_label: int | None) -> None:
    """Note that the label is wrong, and what it is instead; None: it is no digit, or nobody can tell."""
    _send(dataset, index, is_mislabelled=True, correct_label=correct_label)


def unmark(dataset: Dataset, index: int) -> None:
    """Take the mark back."""
    _send(dataset, index, is_mislabelled=False, correct_label=None)


def problem() -> None:
    """Tell, once, why the last mark was not kept."""
    if message := st.session_state.pop(_PROBLEM, ""):
        style.wrong(message)


def panel(dataset: Dataset, subject: Subject) -> None:
    """The mark of an opened digit: what it is, and the button that marks it or takes that back."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="mistake_mark"):
        if subject.is_marked:
            st.markdown(_marked(subject, _correct_label(dataset, subject)), width="stretch")
            st.button(
                "Take the mark back",
                icon=":material/undo:",
                on_click=_take_back,
                args=(dataset, subject.index),
                key="mistake_unmark",
            )
        else:
            st.selectbox(
                f"Labelled {subject.label}. Is that wrong?",
                choices(subject),
                format_func=lambda digit: (
                    "It is no digit, or unclear" if digit is None else f"It is a {digit}"
                ),
                # A digit's own key: the choice for one is not that for the next.
                key=_SAID.format(subject.index),
                width=260,
            )
            st.button(
                "Mark its label as wrong",
                icon=":material/flag:",
                on_click=_mark_as_said,
                args=(dataset, subject.index),
                key="mistake_mark_button",
            )
    if st.session_state.pop(_ASKED, False):
        st.rerun()  # The list behind shows the mark as well.
    problem()


def _mark_as_said(dataset: Dataset, index: int) -> None:
    """Mark the digit that was open at the click, whichever is by now."""
    mark(dataset, index, st.session_state[_SAID.format(index)])
    st.session_state[_ASKED] = True


def _take_back(dataset: Dataset, index: int) -> None:
    unmark(dataset, index)
    st.session_state[_ASKED] = True


def choices(subject: Subject) -> Sequence[int | None]:
    """What the digit may be instead of its label: first what the version thinks, last no digit at all."""
    others = [digit for digit in range(10) if digit != subject.label]
    likely = subject.read if subject.is_misread else subject.rival
    others.sort(key=lambda digit: digit != likely)
    return (*others, NO_DIGIT)


def _marked(subject: Subject, correct: int | None) -> str:
    said = f"it is a **{correct}**" if correct is not None else "it is no digit, or unclear"
    return f"Marked: its label **{subject.label}** is wrong, {said}."


def _correct_label(dataset: Dataset, subject: Subject) -> int | None:
    if subject.correct_label is not None:
        return subject.correct_label
    try:
        return source.correct_label(subject.doubter, dataset, subject.index)
    except ClientError as error:
        connection.note(error)
        return None


def _send(dataset: Dataset, index: int, *, is_mislabelled: bool, correct_label: int | None) -> None:
    try:
        connection.client().mark_mislabelled(
            dataset, index, is_mislabelled=is_mislabelled, correct_label=correct_label
        )
    except ClientError as error:
        connection.note(error)
        st.session_state[_PROBLEM] = wording.sentence(error.message)
