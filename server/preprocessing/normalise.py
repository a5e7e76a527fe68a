"""MNIST normalisation: a drawing's ink, cropped, scaled and placed as NIST's digits were to become MNIST's.

"The original black and white (bilevel) images from NIST were size normalized to fit in a 20x20 pixel box
while preserving their aspect ratio. […] the images were centered in a 28x28 image by computing the center of
mass of the pixels, and translating the image so as to position this point at the center of the 28x28 field."
(Y. LeCun, C. Cortes, C. Burges: The MNIST database)

True of MNIST itself, and of what comes out here: the index of the centroid is in (13.5, 14.5] on both axes,
the longer side of the ink is 20 pixels, the brightest pixel is 255. Only the centroid can miss, where ink is
so unbalanced that it would leave the picture; then it stays within.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BlankImage

SIDE = 28
INK_SIDE = 20
# Larger ink is first reduced to this: the 20 pixels come out the same, at a bounded cost.
_MAX_INK_SIDE = 1024


def normalise(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place the ink of a drawing as MNIST places its digits: (H, W) uint8 -> (28, 28) uint8, 0 = background.

    Raises BlankImage when there is no ink.
    """
    crop = _reduced(_cropped(ink))
    digit = _fitted(crop)
    rows, columns = _inked(digit)
    while max(len(rows), len(columns)) < INK_SIDE:
        crop = _without_faint_ends(crop, digit)
        digit = _fitted(crop)
        rows, columns = _inked(digit)
    top = _offset(digit.sum(axis=1, dtype=np.int64), rows)
    left = _offset(digit.sum(axis=0, dtype=np.int64), columns)
    placed = np.zeros((SIDE, SIDE), np.uint8)
    placed[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop] = digit[
        rows.start : rows.stop, columns.start : columns.stop
    ]
    return placed


def _cropped(ink: NDArray[Any]) -> NDArray[Any]:
    left, top, width, height = cv2.boundingRect(ink)
    if width == 0:
        raise BlankImage("image", "expected a drawn digit, got a picture without ink")
    return ink[top : top + height, left : left + width]


def _reduced(crop: NDArray[Any]) -> NDArray[Any]:
    height, width = crop.shape
    scale = _MAX_INK_SIDE / max(height, width)
    if scale >= 1:
        return crop
    # Brightest first: a hair of faint ink must not be averaged away to nothing.
    bright = cv2.convertScaleAbs(crop, alpha=255 / cv2.minMaxLoc(crop)[1])
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return _cropped(cv2.resize(bright, size, interpolation=cv2.INTER_AREA))


def _fitted(crop: NDArray[Any]) -> NDArray[np.uint8]:
    """Pad the shorter side to a square, area-resample to (20, 20), scale the brightest pixel to 255.

    Each resampled pixel is the exact mean over the area that it covers, so both steps are one product:
    (20, height) @ (height, width) @ (width, 20).
    """
    height, width = crop.shape
    side = max(height, width)
    area: NDArray[np.float32] = (
        _area_weights(height, side) @ crop.astype(np.float32) @ _area_weights(width, side).T
    )
    area *= 255 / area.max()
    return np.asarray(cv2.convertScaleAbs(area), np.uint8)  # rounds


def _area_weights(length: int, side: int) -> NDArray[np.float32]:
    """(20, length): how much of each pixel lies in each of 20 cells, the pixels being centred in `side`."""
    starts = np.arange(length, dtype=np.float32) + (side - length) // 2
    edges = np.arange(INK_SIDE + 1, dtype=np.float32)[:, None] * np.float32(side / INK_SIDE)
    overlap: NDArray[np.float32] = np.minimum(edges[1:], starts + 1) - np.maximum(edges[:-1], starts)
    return np.maximum(overlap, 0, out=overlap)


def _without_faint_ends(crop: NDArray[Any], digit: NDArray[np.uint8]) -> NDArray[Any]:
    """The ink without what is too faint at the ends of its longer side to show in a (20, 20) picture."""
    if crop.shape[0] < crop.shape[1]:
        return _without_faint_ends(crop.T, digit.T).T
    side = crop.shape[0]
    rows, _ = _inked(digit)
    # At least one pixel, where a pixel is larger than a cell: each turn makes the crop smaller.
    top, bottom = (
        max(int(cells * side / INK_SIDE), 1) if cells else 0 for cells in (rows.start, INK_SIDE - rows.stop)
    )
    return _cropped(np.ascontiguousarray(crop[top : side - bottom]))


def _offset(profile: NDArray[np.int64], inked: range) -> int:
    """floor(15 − barycentre), pixel centres at +0.5, as long as inked rows or columns stay in the picture.

    In whole numbers, for rounding would miss the edge of the interval.
    """
    mass = int(profile.sum())
    twice_moment = int(profile @ np.arange(1, 2 * INK_SIDE, 2))
    offset = (30 * mass - twice_moment) // (2 * mass)
    return min(max(offset, -inked.start), SIDE - inked.stop)


def _inked(digit: NDArray[np.uint8]) -> tuple[range, range]:
    """The rows and the columns from the first to the last with ink."""
    left, top, width, height = cv2.boundingRect(digit)
    return range(top, top + height), range(left, left + width)
