"""A visitor's drawings, as the session keeps them: they survive a lost server, another page or choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

Stroke = dict[str, Any]
"""One stroke as Fabric.js describes it; both pads read and write it so."""


@dataclass(frozen=True)
class Sheet:
    """A kind of paper, its size in pixels. Each has a drawing of its own, in the session under `name`."""

    name: str
    width: int
    height: int


DIGIT_SHEET = Sheet("drawing", 280, 280)
NUMBER_SHEET = Sheet("number-drawing", 720, 280)


@dataclass
class Drawing:
    """The drawing of one visitor on one sheet.

    `strokes` and `png` are what the browser reported last; `png` is None while it has yet to paint what undo
    left. `given` and `revision` are what the browser was last told to show: they stay while someone draws,
    because any change makes it paint anew. `frame` is the number of the live pad's last report.
    """

    strokes: list[Stroke] = field(default_factory=list)
    png: bytes | None = None
    given: list[Stroke] = field(default_factory=list)
    revision: int = 0
    frame: int = 0

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


def drawing(sheet: Sheet) -> Drawing:
    """This session's drawing on a sheet."""
    if sheet.name not in st.session_state:
        st.session_state[sheet.name] = Drawing()
    kept: Drawing = st.session_state[sheet.name]
    return kept


def undo(sheet: Sheet) -> None:
    """Take the last stroke back."""
    drawing(sheet).show(drawing(sheet).strokes[:-1])


def clear(sheet: Sheet) -> None:
    """Take a new sheet."""
    drawing(sheet).show([])
