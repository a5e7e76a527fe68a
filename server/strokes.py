"""Strokes drawn as ink, with a round pen: light on dark, (H, W) uint8, 0 = background."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from server.datasets.pen_strokes import PenDigit

CANVAS_PX = 280
# The digits that are judged, large and in the middle of the canvas …
CENTRED_HEIGHT_PX = 200
CENTRED_PEN_PX = 20
# … or of any size, with any pen, anywhere.
HEIGHTS_PX = (60, 200)
PENS_PX = (8, 28)
MAX_PEN_SHARE = 1 / 5

# Points are given to OpenCV in sixteenths of a pixel.
_SHIFT = 4
# OpenCV's lines are up to two pixels too thick, and its anti-aliased ones more so: they are drawn larger and
# averaged.
_ZOOM = 4


def draw(strokes: Sequence[np.ndarray], height_px: float, pen_px: int, is_smooth: bool = True) -> np.ndarray:
    """Draw strokes, each (n, 2) of x and y, and crop to their ink: (H, W) uint8.

    The pen's middle travels over `height_px` pixels along the longer side, so that the ink is larger than
    that by about the pen, which is `pen_px` thick, at least 1. `is_smooth`: anti-aliased; without it every
    pixel is 0 or 255, as the coarser canvases of web pages draw.
    """
    points = np.concatenate(list(strokes))
    origin = points.min(axis=0)
    extent = points.max(axis=0) - origin
    # A dot has no longer side.
    scale = height_px / float(extent.max()) if extent.max() > 0 else 0.0
    margin = pen_px / 2 + 1
    width, height = (int(side) for side in np.ceil(extent * scale + 2 * margin) + 1)
    # A line of one pixel is drawn as it is: of a finer one, half the pixels would be lost.
    is_hairline = pen_px == 1 and not is_smooth
    zoom = 1 if is_hairline else _ZOOM
    ink = np.zeros((height * zoom, width * zoom), np.uint8)
    for stroke in strokes:
        # OpenCV's pixel centres are whole numbers.
        places = (((stroke - origin) * scale + margin) * zoom - 0.5) * 2**_SHIFT
        path = np.rint(places).astype(np.int32)
        if len(path) == 1:
            path = np.concatenate([path, path])
        cv2.polylines(ink, [path], False, 255, pen_px * zoom, cv2.LINE_8, _SHIFT)
    if not is_hairline:
        ink = np.asarray(cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA))
    if not is_smooth:
        ink = np.where(ink >= 128, 255, 0).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(ink)
    return ink[top : top + high, left : left + wide]


def draw_centred(
    digit: PenDigit, pen_px: int = CENTRED_PEN_PX, height_px: int = CENTRED_HEIGHT_PX
) -> np.ndarray:
    """A digit in the middle of the canvas: (280, 280) uint8."""
    ink = draw(digit.strokes, height_px, pen_px)
    return _placed(ink, (CANVAS_PX - ink.shape[0]) // 2, (CANVAS_PX - ink.shape[1]) // 2)


def draw_anywhere(digit: PenDigit, generator: np.random.Generator) -> np.ndarray:
    """A digit of any size, with any pen, at any place of the canvas where it fits: (280, 280) uint8.

    60 to 200 pixels tall, the pen 8 to 28 pixels but at most a fifth of the height.
    """
    height_px = int(generator.integers(HEIGHTS_PX[0], HEIGHTS_PX[1], endpoint=True))
    thickest = min(PENS_PX[1], int(height_px * MAX_PEN_SHARE))
    pen_px = int(generator.integers(PENS_PX[0], thickest, endpoint=True))
    ink = draw(digit.strokes, height_px, pen_px)
    top = int(generator.integers(0, CANVAS_PX - ink.shape[0], endpoint=True))
    left = int(generator.integers(0, CANVAS_PX - ink.shape[1], endpoint=True))
    return _placed(ink, top, left)


def _placed(ink: np.ndarray, top: int, left: int) -> np.ndarray:
    canvas = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas
