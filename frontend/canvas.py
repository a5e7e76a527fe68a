"""The pad that people draw on: streamlit-drawable-canvas, which reports the drawing after each stroke."""

from __future__ import annotations

import base64

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from frontend.drawing import Drawing, Sheet, drawing
from frontend.style import INK, PAPER


def canvas(sheet: Sheet, brush_px: int) -> Drawing:
    """Show a sheet and return what is on it."""
    drawn = drawing(sheet)
    key = f"pad-{sheet.name}"
    if key not in st.session_state:
        # A new element, after another page or another choice: it starts with what was drawn.
        drawn.given = drawn.strokes
    st_canvas(
        stroke_width=brush_px,
        stroke_color=INK,
        # Never transparent: that would read as black ink all over.
        background_color=PAPER,
        width=sheet.width,
        height=sheet.height,
        # Fabric.js ignores the key that it does not know.
        initial_drawing={"objects": drawn.given, "revision": drawn.revision},
        return_image_data=True,
        on_change=lambda: _take_report(sheet, key),
        key=key,
    )
    return drawn


def _take_report(sheet: Sheet, key: str) -> None:
    """Keep what the browser reports after a stroke, or after it painted what it was told to."""
    report = st.session_state[key]["drawing"]
    drawn = drawing(sheet)
    drawn.strokes = report["raw"]["objects"]
    drawn.png = png_of(report["data"])


def png_of(data_url: str | None) -> bytes | None:
    """The bytes in a `data:image/png;base64,…` address."""
    return base64.b64decode(data_url.partition(";base64,")[2]) if data_url else None
