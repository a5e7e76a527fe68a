"""Widgets whose value the page sets as well as the visitor.

A browser reports the values of all widgets at once, whenever it reports anything. Such a report may have been
on its way while the page gave a widget another value: then the old value reads like a choice that nobody has
made, and it would label a drawing or close what is open. So a widget becomes another one, under another key,
whenever the page changes its value; what comes of an earlier one counts only if a visitor changed it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

import streamlit as st

# Reports of widgets that were replaced so often since are of no interest any more.
MOST_KNOWN = 16

_BOUND = "bound-{}"


class Binding(TypedDict):
    """What a widget takes: `st.selectbox("…", …, **bind("…", value, on_choice))`."""

    key: str
    on_change: Callable[[], None]


@dataclass
class _Bound:
    """The number of the present widget, and by key what the page and the browser last agreed on."""

    number: int = 0
    agreed: dict[str, object] = field(default_factory=dict)


def bind(name: str, value: object, on_choice: Callable[[Any], None]) -> Binding:
    """Give the widget of this name a value. `on_choice` gets what a visitor chooses, before the next run."""
    bound: _Bound = st.session_state.setdefault(_BOUND.format(name), _Bound())
    key = _key(name, bound.number)
    if any(known.get(key, value) != value for known in (bound.agreed, st.session_state)):
        bound.number += 1
        key = _key(name, bound.number)
        bound.agreed.pop(_key(name, bound.number - MOST_KNOWN), None)
    if key not in st.session_state:
        st.session_state[key] = value
    bound.agreed[key] = value
    return Binding(key=key, on_change=lambda: _take(bound, key, on_choice))


def is_shown(name: str) -> bool:
    """Whether the widget of this name was on the page in the run before."""
    bound: _Bound | None = st.session_state.get(_BOUND.format(name))
    return bound is not None and _key(name, bound.number) in st.session_state


def _take(bound: _Bound, key: str, on_choice: Callable[[Any], None]) -> None:
    chosen = st.session_state[key]
    if key in bound.agreed and bound.agreed[key] != chosen:
        bound.agreed[key] = chosen
        on_choice(chosen)


def _key(name: str, number: int) -> str:
    return f"{name}-{number}" if number else name
