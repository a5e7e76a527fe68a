"""The sheet of paper in a photograph that also shows the table under it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Judged at this size, in pixels.
_SIDE = 160
# Of the sheet's brightness: a table is darker than this, or else nothing hints at a table.
_DARKER = 0.75


def find_sheet(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Where the sheet is: (H, W) uint8 -> (H, W) uint8, 255 on the sheet, else 0.

    All of the picture, unless a bright part with a sharp edge lies in dark surroundings like an island. A
    lamp's spot has a soft edge; a shadow across the sheet reaches from border to border.
    """
    height, width = grey.shape
    everything = np.full((height, width), 255, np.uint8)
    scale = min(_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.medianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), 3)
    # Paper and table are two levels; with a shadow across they are three, and the lower split tells them.
    split, _ = cv2.threshold(small, 0, 255, cv2.THRESH_OTSU)
    lower, _ = cv2.threshold(small[small <= split], 0, 255, cv2.THRESH_OTSU)
    hull = _island(small, lower)
    if hull is None:
        hull = _island(small, split)
    if hull is None:
        return everything
    sheet: NDArray[Any] = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(sheet, hull, 255)
    # Its own edge is no ink either.
    sheet = cv2.erode(sheet, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=255)
    return np.asarray(cv2.resize(sheet, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _island(small: NDArray[Any], level: float) -> NDArray[Any] | None:
    """The corners of the part that is brighter than this level, where it may be a sheet on a table."""
    is_lit = small > level
    if is_lit.all() or not is_lit.any():
        return None
    is_darker = float(small[~is_lit].mean()) < _DARKER * float(small[is_lit].mean())
    # In a soft edge many pixels are near the level.
    is_sharp = float((np.abs(small - level) < 0.12 * level).mean()) < 0.08
    ring = np.concatenate((is_lit[0], is_lit[-1], is_lit[1:-1, 0], is_lit[1:-1, -1]))
    if not (is_darker and is_sharp and ring.mean() < 0.35):
        return None
    # Cut off what hangs together with the sheet by a thread: the grain of wood.
    bright = cv2.morphologyEx(is_lit.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    sides = cv2.minAreaRect(hull)[1]
    # Large and about a rectangle: a fat light digit on dark paper is not.
    is_sheet = cv2.contourArea(hull) > 0.83 * sides[0] * sides[1] and min(sides) > 0.35 * min(small.shape)
    return hull if is_sheet else None
