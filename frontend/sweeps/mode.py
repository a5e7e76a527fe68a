"""Whether the Train page trains one run, or tries many."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from frontend.binding import bind

ONE, MANY = "one", "many"
NAMES: Mapping[str, str] = {ONE: "Train one", MANY: "Try many"}

_MODE = "train_mode"


def present() -> str:
    """What the page does now: ONE or MANY."""
    mode: str = st.session_state.get(_MODE, ONE)
    return mode


def is_chosen() -> bool:
    """Whether anything has chosen it yet, in this visit."""
    return _MODE in st.session_state


def choose(mode: str) -> None:
    """Do the one or the other from the next run on."""
    st.session_state[_MODE] = mode


def control() -> None:
    """Let the visitor choose."""
    st.segmented_control(
        "What to do",
        list(NAMES),
        required=True,
        format_func=lambda each: NAMES[each],
        label_visibility="collapsed",
        **bind("train_mode_control", present(), choose),
    )
