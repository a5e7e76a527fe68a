"""What is no digit, to see whether the server says so: printed letters and random scribbles. Seeded.

All are pictures of a canvas, (280, 280) uint8, 0 = background, as people draw digits there: 60 to 200 px
tall, with a pen of 8 to 28 px but at most a fifth of the height, at any place where they fit.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from server import strokes

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
# Large enough to be made smaller, whichever font it is.
PRINTED_SCALE = 10.0
PRINTED_THICKNESS = (4, 28)


def letters(count: int, seed: int) -> list[Image]:
    """Letters a-z and A-Z in OpenCV's fonts, upright and italic.

    None is left out: an O, an l or an S can truly be read as a digit, so that not all can be flagged.
    """
    generator = np.random.default_rng(seed)
    return [_anywhere(_letter(generator), generator) for _ in range(count)]


def scribbles(count: int, seed: int) -> list[Image]:
    """Random curves, zigzags, coils and heaps of lines, in equal parts."""
    generator = np.random.default_rng(seed)
    return [
        _anywhere(_scribble(SCRIBBLES[number % len(SCRIBBLES)], generator), generator)
        for number in range(count)
    ]


def _letter(generator: np.random.Generator) -> Image:
    """A letter, cropped to its ink."""
    letter = string.ascii_letters[generator.integers(len(string.ascii_letters))]
    font = int(generator.choice(FONTS)) | (cv2.FONT_ITALIC if generator.random() < 0.25 else 0)
    thickness = int(generator.integers(*PRINTED_THICKNESS, endpoint=True))
    (width, height), below = cv2.getTextSize(letter, font, PRINTED_SCALE, thickness)
    margin = height
    ink = np.zeros((height + below + 2 * margin, width + 2 * margin), np.uint8)
    cv2.putText(ink, letter, (margin, margin + height), font, PRINTED_SCALE, 255, thickness, cv2.LINE_AA)
    left, top, wide, high = cv2.boundingRect(ink)
    ink = ink[top : top + high, left : left + wide]
    scale = _height(generator) / max(ink.shape)
    return np.asarray(cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _scribble(draw: Callable[[np.random.Generator], list[Points]], generator: np.random.Generator) -> Image:
    """A scribble, cropped to its ink."""
    height_px = _height(generator)
    thickest = min(strokes.PENS_PX[1], int(height_px * strokes.MAX_PEN_SHARE))
    pen_px = int(generator.integers(strokes.PENS_PX[0], thickest, endpoint=True))
    return strokes.draw(draw(generator), height_px, pen_px)


def _curve(generator: np.random.Generator) -> list[Points]:
    """One smooth line through 5 to 10 places (a Catmull-Rom spline, which wants one more at each end)."""
    places = generator.random((int(generator.integers(7, 12, endpoint=True)), 2))
    before, start, end, after = (places[i : len(places) - 3 + i, np.newaxis] for i in range(4))
    t = np.linspace(0, 1, 16)[:, np.newaxis]
    path = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return [path.reshape(-1, 2).astype(np.float32)]


def _zigzag(generator: np.random.Generator) -> list[Points]:
    """One line with 4 to 9 corners."""
    return [generator.random((int(generator.integers(6, 11, endpoint=True)), 2)).astype(np.float32)]


def _coil(generator: np.random.Generator) -> list[Points]:
    """Two to five loops that wander and grow."""
    t = np.linspace(0, 1, 200)
    angle = 2 * np.pi * (generator.uniform(2, 5) * t + generator.random())
    inner, outer = generator.uniform(0.1, 1.0, 2)
    size = inner + (outer - inner) * t
    drift = generator.uniform(-2, 2, 2)
    x = size * np.cos(angle) + drift[0] * t
    y = size * np.sin(angle) * generator.uniform(0.4, 1.0) + drift[1] * t
    return [np.stack([x, y], axis=1).astype(np.float32)]


def _heap(generator: np.random.Generator) -> list[Points]:
    """Three to seven straight lines."""
    lines = generator.random((int(generator.integers(3, 7, endpoint=True)), 2, 2)).astype(np.float32)
    return list(lines)


SCRIBBLES = (_curve, _zigzag, _coil, _heap)


def _height(generator: np.random.Generator) -> int:
    return int(generator.integers(*strokes.HEIGHTS_PX, endpoint=True))


def _anywhere(ink: Image, generator: np.random.Generator) -> Image:
    canvas = np.zeros((strokes.CANVAS_PX, strokes.CANVAS_PX), np.uint8)
    rows, columns = ink.shape
    y, x = (int(generator.integers(strokes.CANVAS_PX - side, endpoint=True)) for side in (rows, columns))
    canvas[y : y + rows, x : x + columns] = ink
    return canvas
