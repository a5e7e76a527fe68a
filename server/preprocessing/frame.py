"""Borders around a picture: the edge of a canvas in a screenshot, the dark rim of a scan."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Levels this close are one level.
SAME = 8


def without_frame(grey: NDArray[Any]) -> NDArray[Any]:
    """The picture with its frame painted over in the colour of the paper: (H, W) uint8 -> (H, W) uint8.

    A frame is of one level, runs along all four edges, is at most a tenth of the picture thick, and has paper
    behind it on all four sides. That tells it from ink which touches the edges of a tight crop.
    """
    deepest = min(grey.shape) // 10
    if deepest == 0:
        return grey
    edge = _ring(grey, 0)
    frame_level, paper_level = _median(edge), _median(_ring(grey, deepest))
    if abs(frame_level - paper_level) <= 2 * SAME or _share(edge, frame_level) < 0.95:
        return grey
    is_frame: NDArray[Any] = cv2.inRange(grey, max(frame_level - SAME, 0), frame_level + SAME)
    top, bottom, left, right = (
        _thickness(lines) for lines in (is_frame, is_frame[::-1], is_frame.T, is_frame.T[::-1])
    )
    if max(top, bottom, left, right) > deepest:
        return grey
    # One pixel further in: where the picture was scaled, the innermost pixel is half frame, half paper.
    inner = grey[top + 1 : -bottom - 1, left + 1 : -right - 1]
    if _share(_ring(inner, 0), paper_level) < 0.8:
        return grey
    painted = np.full_like(grey, paper_level)
    painted[top + 1 : -bottom - 1, left + 1 : -right - 1] = inner
    return painted


def _ring(grey: NDArray[Any], depth: int) -> NDArray[Any]:
    """The pixels on a rectangle `depth` pixels inside the edges."""
    last = -1 - depth
    return np.concatenate((grey[depth], grey[last], grey[:, depth], grey[:, last]))


def _median(values: NDArray[Any]) -> int:
    return int(np.partition(values, values.size // 2)[values.size // 2])


def _share(values: NDArray[Any], level: int) -> float:
    return float((np.abs(values.astype(np.int16) - level) <= SAME).mean())


def _thickness(is_frame: NDArray[Any]) -> int:
    """How many of the first lines are frame from end to end, the corners' rounding aside."""
    is_full = cv2.reduce(is_frame, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel() > 0.95 * 255
    return int(is_full.argmin()) if not is_full.all() else len(is_full)
