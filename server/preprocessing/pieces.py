"""Connected pieces of ink that nobody wrote: dust, and what lies along the edges of a picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Of the largest piece of ink: smaller pieces are dust, or traces of compression.
SPECK = 0.02
# Of the side of a square as large as the photograph: what is smaller is dust by itself.
_DUST = 0.025

_RIM_WIDTH = 5
_RIM = np.ones((2 * _RIM_WIDTH + 1, 2 * _RIM_WIDTH + 1), np.uint8)


def has_gap(ink: NDArray[np.uint8]) -> bool:
    """Whether an empty row or column lies between pieces of ink: a quick look, before all are told apart."""
    # As bytes: an empty line is a zero, and zeros around the ink are none between.
    return any(b"\0" in ink.any(axis=axis).tobytes().strip(b"\0") for axis in (0, 1))


def without_specks(ink: NDArray[np.uint8], share: float = SPECK) -> NDArray[np.uint8]:
    """Ink without pieces that have less than this share of the largest one's area; changes `ink` in place."""
    left, top, width, height = cv2.boundingRect(ink)
    inked = ink[top : top + height, left : left + width]
    pieces, labels, statistics, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]  # the first is the paper
    if pieces <= 2 or areas.min() >= share * areas.max():
        return ink
    is_kept = np.concatenate(([False], areas >= share * areas.max()))
    inked[~is_kept[labels]] = 0
    return ink


def keep_strokes(
    is_ink: NDArray[np.uint8], is_steep: NDArray[Any], sheet: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The pieces of ink in a photograph that a pen may have left; all arguments (H, W) uint8, 0 or 255.

    No dust, which is tiny by itself or beside the largest piece; no soft shadow, which has no steep edge; and
    nothing that lies along the edge of `sheet`, where a stroke would cross it.
    """
    left, top, width, height = cv2.boundingRect(is_ink)
    if width == 0:
        return is_ink
    window = np.s_[top : top + height, left : left + width]
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(is_ink[window], connectivity=8)
    sides = statistics[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    is_kept = sides >= _DUST * is_ink.size**0.5
    is_kept &= _count(labels, is_steep[window], len(sides)) >= sides
    if sheet is not None:
        inner = cv2.erode(sheet, _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        in_rim = _count(labels, cv2.subtract(sheet, inner)[window], len(sides))
        areas = statistics[:, cv2.CC_STAT_AREA]
        is_kept &= (in_rim < 0.7 * areas) & (in_rim < _RIM_WIDTH / 2 * sides)
    is_kept[0] = False  # the paper
    areas = statistics[:, cv2.CC_STAT_AREA] * is_kept
    is_kept &= areas >= SPECK * areas.max()
    kept = np.zeros_like(is_ink)
    kept[window] = (is_kept * np.uint8(255))[labels]
    return kept


def _count(labels: NDArray[Any], mask: NDArray[Any], pieces: int) -> NDArray[np.int64]:
    """How many pixels of each piece the mask has."""
    return np.bincount(labels[mask > 0], minlength=pieces)
