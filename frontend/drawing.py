"""A visitor's drawing, as the session keeps it: it survives a lost server, another page, another choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

_STATE = "drawing"

Stroke = dict[str, Any]
"""One stroke as Fabric.js describes it."""


@dataclass
class Drawing:
    """The drawing of one visitor.

    `strokes` and `png` are what the browser reported last; `png` is None while it has yet to paint what undo
    left. `given` and `revision` are what the browser was last told to show: they stay while someone draws,
    because any change makes it paint anew.
    """

    strokes: list[Stroke] = field(default_factory=list)
    png: bytes | None = None
    given: list[Stroke] = field(default_factory=list)
    revision: int = 0

    @property
    def is_blank(self) -> bool:
        """Whether there is no stroke."""
        return not self.strokes

    def show(self, strokes: list[Stroke]) -> None:
        """Have the browser show these strokes, and report them back as an image."""
        self.strokes = self.given = strokes
        self.png = None
        # Two undos may lead to the same strokes: the number tells them apart.
        self.revision += 1


def drawing() -> Drawing:
    """This session's drawing."""
    if _STATE not in st.session_state:
        st.session_state[_STATE] = Drawing()
    kept: Drawing = st.session_state[_STATE]
    return kept


def undo() -> None:
    """Take the last stroke back."""
    drawing().show(drawing().strokes[:-1])


def clear() -> None:
    """Take a new sheet."""
    drawing().show([])
