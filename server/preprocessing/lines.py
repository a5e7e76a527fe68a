"""Ruled and squared paper: printed lines, taken away without the ink that crosses them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# A sheet may lie askew by 14°. Pixels down for each to the right: all slopes first, then those near the best.
_SLOPES = np.arange(-0.25, 0.251, 0.008)
_FINE_SLOPES = np.arange(-0.008, 0.0081, 0.001)
# As many pixels of ink tell the slope.
_POINTS = 4000
# Of the sheet's width, at the line: several lines reach this far, one alone reaches further.
_REACH, _REACH_ALONE = 0.75, 0.92
# Of the sheet's shorter side.
_MAX_THICKNESS = 1 / 40


def without_lines(
    is_ink: NDArray[np.uint8], is_faint: NDArray[np.uint8], sheet: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Ink without straight thin lines that run from edge to edge of the sheet.

    All (H, W) uint8, 0 or 255. `is_faint` has the ink and what is somewhat fainter: lines are looked for
    there, for they break up where they are faint.
    """
    for _ in range(2):
        is_ink = _without_level_lines(is_ink, is_faint, sheet)
        is_ink, is_faint, sheet = _turned(is_ink), _turned(is_faint), _turned(sheet)
    return is_ink


def _without_level_lines(
    is_ink: NDArray[np.uint8], is_faint: NDArray[np.uint8], sheet: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    height, width = is_ink.shape
    slope = _skew(is_faint)
    level, level_sheet = _sheared(is_faint, slope), _sheared(sheet, slope)
    # Gaps are closed; then only runs count that are longer than any stroke of a digit.
    reach = max(width // 4, 9)
    joined = cv2.dilate(level, np.ones((3, 1), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, np.ones((1, max(width // 40, 5)), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, reach), np.uint8))
    available = np.maximum(cv2.reduce(level_sheet, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel(), 1)
    share = cv2.reduce(runs, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel() / available
    share[available < 255 * reach] = 0
    most = max(round(_MAX_THICKNESS * min(height, width)), 3) + 2  # the dilation's
    bands = [band for band in _bands(share > _REACH) if band[1] - band[0] <= most]
    if len(bands) < 3:
        bands = [band for band in bands if share[band[0] : band[1]].max() > _REACH_ALONE]
    if not bands:
        return is_ink
    is_line = np.zeros_like(level)
    for start, stop in bands:
        is_line[max(start - 1, 0) : stop + 1] = 255
    # A stroke that crosses the line is higher there than the line is thick.
    thickness = max(stop - start for start, stop in bands) + 1
    strokes = cv2.morphologyEx(level, cv2.MORPH_OPEN, np.ones((thickness + 2, 1), np.uint8))
    removed = np.asarray(cv2.subtract(is_line, strokes), np.uint8)
    return np.asarray(cv2.subtract(is_ink, _sheared(removed, -slope)), np.uint8)


def _skew(is_ink: NDArray[np.uint8]) -> float:
    """The slope, pixels down for each to the right, along which ink gathers in the fewest rows."""
    points = cv2.findNonZero(is_ink)
    if points is None:
        return 0.0
    points = points.reshape(-1, 2)[:: len(points) // _POINTS + 1]
    right, down = points[:, 0].astype(np.float32), points[:, 1].astype(np.float32)

    def crowding(slope: float) -> float:
        rows = np.rint(down - slope * right).astype(np.int64)
        return float(np.square(np.bincount(rows - rows.min())).sum())

    best = max(_SLOPES, key=crowding)
    return float(max(best + _FINE_SLOPES, key=crowding))


def _bands(is_line: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of each run of rows."""
    steps = np.flatnonzero(np.diff(is_line.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in steps.reshape(-1, 2)]


def _sheared(mask: NDArray[np.uint8], slope: float) -> NDArray[np.uint8]:
    """Each column moved up by `slope` pixels for each that it lies right of the middle."""
    height, width = mask.shape
    matrix = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float32)
    return np.asarray(cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST), np.uint8)


def _turned(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(mask.T)
