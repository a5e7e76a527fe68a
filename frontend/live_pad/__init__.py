"""The pad whose answer follows the pen: it reports the drawing while a stroke is still being drawn.

The browser owns the drawing and paints it at once; Python only ever hears of it. A report is sent when the
answer to the one before has come, so that a slow server gets fewer of them instead of a queue.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from frontend.canvas import png_of
from frontend.drawing import Drawing, Sheet, drawing
from frontend.style import INK, PAPER


def live_pad(sheet: Sheet, brush_px: int) -> Drawing:
    """Show a sheet and return what is on it.

    It asks for the next report: show the answer to the last one before.
    """
    drawn = drawing(sheet)
    key = f"live-{sheet.name}"
    if key not in st.session_state:
        # A new element, after another page or another choice: it starts with what was drawn.
        drawn.given = drawn.strokes
    _mount(
        key=key,
        data={
            "label": "Sheet to draw on",
            "width": sheet.width,
            "height": sheet.height,
            "brush": brush_px,
            "ink": INK,
            "paper": PAPER,
            "strokes": drawn.given,
            "revision": drawn.revision,
            "answered": drawn.frame,
        },
        default={"report": None},
        on_report_change=lambda: _take_report(sheet, key),
    )
    return drawn


def _take_report(sheet: Sheet, key: str) -> None:
    report = st.session_state[key]["report"]
    drawn = drawing(sheet)
    if report["frame"] <= drawn.frame:
        return  # It was on its way when this pad was put aside.
    drawn.strokes = report["strokes"]
    drawn.png = png_of(report["png"])
    drawn.frame = report["frame"]


_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "digit_live_pad",
    html='<div class="live-pad"></div>',
    css=(_HERE / "live_pad.css").read_text("utf-8"),
    js=(_HERE / "live_pad.js").read_text("utf-8"),
)
