"""The classic figure: up to 16 mistakes in a 4x4 grid, each under the title `Label : 4 | Predict : 9`."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from digits.client.records import MisclassifiedDigit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = COLUMNS = 4
MIN_DPI, MAX_DPI = 72, 600

# Matplotlib's caches of fonts and texts are not made for several visitors at once.
_drawing = threading.Lock()


def title(digit: MisclassifiedDigit) -> str:
    """The title of one image, letter by letter as the classic script writes it."""
    return f"Label : {digit.true_digit} | Predict : {digit.predicted_digit}"


def mistakes_figure(digits: Sequence[MisclassifiedDigit]) -> Figure:
    """Draw the first 16 digits, fewer where there are fewer, dark on light. Without any, it says so."""
    # Takes a second to import, for which the rest of the page need not wait.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.06)
    figure = Figure(figsize=(8, 8.5), layout=layout, facecolor="white")
    # Not pyplot: its list of open figures is shared by all visitors of the page.
    FigureCanvasAgg(figure)
    if not digits:
        figure.text(0.5, 0.5, "No mistakes", ha="center", va="center", fontsize=16, color="0.35")
        return figure
    grid = figure.subplots(ROWS, COLUMNS, squeeze=False)
    for place, axes in enumerate(grid.flat):
        axes.set_axis_off()
        if place < len(digits):
            axes.imshow(digits[place].pixels, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(title(digits[place]), fontsize=11, color="0.1")
    return figure


def figure_png(digits: Sequence[MisclassifiedDigit], dpi: int) -> bytes:
    """The figure as a PNG file at `dpi` dots an inch. Raises ValueError outside 72 to 600."""
    if not MIN_DPI <= dpi <= MAX_DPI:
        raise ValueError(f"dpi: expected {MIN_DPI} to {MAX_DPI}, got {dpi}")
    png = io.BytesIO()
    with _drawing:
        mistakes_figure(digits).savefig(png, format="png", dpi=dpi)
    return png.getvalue()
