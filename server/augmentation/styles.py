"""Other ways to write a digit: a slashed 0, a 1 with serif and foot, an open 4, a 7 with a bar.

Each takes a (28, 28) uint8 picture, light on dark, and draws on it in place. A picture on which the way
cannot be written, such as a 4 without a hole that should be opened, is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

VISIBLE = 96
_SHIFT = 4

Style = Callable[[np.ndarray, np.random.Generator], None]


def slash_zero(image: np.ndarray, generator: np.random.Generator) -> None:
    """Strike a 0 through, from below on the left to above on the right."""
    left, top, width, height = cv2.boundingRect(_is_ink(image))
    # From well within the ring to a little outside it.
    reach = generator.uniform(-0.15, 0.15, 2)
    start = left + width * (0.2 - reach[0]), top + height * (0.85 + reach[0])
    end = left + width * (0.8 + reach[1]), top + height * (0.15 - reach[1])
    _line(image, start, end, generator)


def serif_or_foot(image: np.ndarray, generator: np.random.Generator) -> None:
    """Give a 1 an upstroke at its top, a line to stand on, or both."""
    rows = np.flatnonzero(_is_ink(image).any(axis=1))
    if len(rows) < 10:
        return
    top, bottom = int(rows[0]), int(rows[-1])
    kind = generator.integers(3)
    if kind != 0:
        head = _middle(image, top)
        length = generator.uniform(0.2, 0.45) * (bottom - top)
        angle = np.deg2rad(generator.uniform(25, 65))
        _line(image, (head, top), (head - length * np.sin(angle), top + length * np.cos(angle)), generator)
    if kind != 1:
        foot = _middle(image, bottom)
        reach = generator.uniform(0.15, 0.4, 2) * (bottom - top)
        tilt = generator.uniform(-1, 1)
        _line(image, (foot - reach[0], bottom + tilt), (foot + reach[1], bottom - tilt), generator)


def open_four(image: np.ndarray, generator: np.random.Generator) -> None:
    """Cut the top of a closed 4 open."""
    is_ink = _is_ink(image)
    contours, tree = cv2.findContours(is_ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return
    # A contour with a parent is the edge of a hole.
    holes = [contour for contour, links in zip(contours, tree[0], strict=True) if links[3] >= 0]
    if not holes:
        return
    hole = max(holes, key=cv2.contourArea)[:, 0, :]
    x, y = hole[hole[:, 1].argmin()]
    top = cv2.boundingRect(is_ink)[1]
    cv2.line(image, (int(x), int(y)), (int(x), max(top - 1, 0)), 0, int(generator.integers(2, 4)))


def bar_seven(image: np.ndarray, generator: np.random.Generator) -> None:
    """Cross the stem of a 7."""
    _, top, width, height = cv2.boundingRect(_is_ink(image))
    row = int(top + height * generator.uniform(0.42, 0.62))
    if height < 10:
        return
    stem = _middle(image, row)
    reach = generator.uniform(0.2, 0.45, 2) * width
    tilt = generator.uniform(-1.5, 1.5)
    _line(image, (stem - reach[0], row + tilt), (stem + reach[1], row - tilt), generator)


STYLES: Mapping[int, Style] = MappingProxyType({0: slash_zero, 1: serif_or_foot, 4: open_four, 7: bar_seven})


def _is_ink(image: np.ndarray) -> np.ndarray:
    return (image >= VISIBLE).astype(np.uint8)


def _middle(image: np.ndarray, row: int) -> float:
    """The middle of the ink in a row, or of the picture where there is none."""
    places = np.flatnonzero(image[row] >= VISIBLE)
    return float(places.mean()) if len(places) else 13.5


def _line(
    image: np.ndarray, start: tuple[float, float], end: tuple[float, float], generator: np.random.Generator
) -> None:
    """A line of 1 to 3 pixels, as digits have them."""
    ends = [tuple(round(place * 2**_SHIFT) for place in point) for point in (start, end)]
    level, thickness = int(generator.integers(200, 256)), int(generator.integers(1, 4))
    drawn = np.zeros_like(image)
    cv2.line(drawn, ends[0], ends[1], level, thickness, cv2.LINE_AA, _SHIFT)
    np.maximum(image, drawn, out=image)
