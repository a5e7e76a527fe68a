"""The sheet that people draw on: streamlit-drawable-canvas, which reports the drawing after each stroke."""

from __future__ import annotations

import base64

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from frontend.drawing import Drawing, drawing
from frontend.style import INK, PAPER

SIDE_PX = 280
KEY = "sheet"


def canvas(brush_px: int) -> Drawing:
    """Show the sheet, 280x280 pixels, and return what is on it."""
    sheet = drawing()
    if KEY not in st.session_state:
        # A new element, after another page or another choice: it starts with what was drawn.
        sheet.given = sheet.strokes
    st_canvas(
        stroke_width=brush_px,
        stroke_color=INK,
        # Never transparent: that would read as black ink all over.
        background_color=PAPER,
        width=SIDE_PX,
        height=SIDE_PX,
        # Fabric.js ignores the key that it does not know.
        initial_drawing={"objects": sheet.given, "revision": sheet.revision},
        return_image_data=True,
        on_change=_take_report,
        key=KEY,
    )
    return sheet


def _take_report() -> None:
    """Keep what the browser reports after a stroke, or after it painted what it was told to."""
    report = st.session_state[KEY]["drawing"]
    sheet = drawing()
    sheet.strokes = report["raw"]["objects"]
    data_url: str | None = report["data"]
    sheet.png = base64.b64decode(data_url.partition(";base64,")[2]) if data_url else None
