"""What may be a digit in a line: the ink between any two of its cuts."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BlankImage
from server.numbers.cuts import Cuts
from server.preprocessing import normalise

# Of the line's digit height: nothing wider is one digit.
MAX_WIDTH = 1.7
# How many cuts a digit may hold inside it.
MAX_INNER = 40
# Of the height squared: less ink is nothing.
MIN_INK = 0.003
SIDE = 28


class Candidates(NamedTuple):
    """N stretches of one line."""

    starts: NDArray[np.int32]
    """(N,) int32: the index of the cut on the left."""
    ends: NDArray[np.int32]
    """(N,) int32: the index of the cut on the right."""
    boxes: NDArray[np.int32]
    """(N, 4) int32: x, y, width, height of the ink, in the line's pixels."""


def find_candidates(ink: NDArray[np.uint8], height: float, cuts: Cuts) -> Candidates:
    """Every stretch of a line, (h, w) uint8, between two cuts that holds ink and is not too wide.

    `height`: of the line's digits, in pixels.
    """
    found: list[tuple[int, ...]] = []
    left = ink_before(ink, height, cuts)
    last = len(cuts.costs) - 1
    for start in range(last):
        for end in range(start + 1, min(start + MAX_INNER + 1, last) + 1):
            if left[end] - left[start] < MIN_INK:
                continue
            region, offset = between(ink, cuts, start, end)
            x, y, width, tall = cv2.boundingRect(region)
            # What is wider is a mark at best, and then its parts are as well.
            if width > MAX_WIDTH * height and end > start + 1:
                break
            if width:
                found.append((start, end, x + offset, y, width, tall))
    table = np.array(found, np.int32).reshape(len(found), 6)
    return Candidates(table[:, 0], table[:, 1], table[:, 2:])


def ink_before(ink: NDArray[np.uint8], height: float, cuts: Cuts) -> NDArray[np.float64]:
    """(C,): the ink on the left of each cut, full pixels over the height squared."""
    sums = np.concatenate((np.zeros((len(ink), 1)), ink.cumsum(axis=1, dtype=np.float64)), axis=1)
    left: NDArray[np.float64] = sums[np.arange(len(ink)), cuts.columns].sum(axis=1)
    return left / (255 * height**2)


def between(ink: NDArray[np.uint8], cuts: Cuts, start: int, end: int) -> tuple[NDArray[np.uint8], int]:
    """The ink between two cuts, and the column that it begins at."""
    left, right = cuts.columns[start], cuts.columns[end]
    first, beyond = int(left.min()), int(right.max())
    places = np.arange(first, beyond, dtype=np.int32)
    is_inside = (places >= left[:, None]) & (places < right[:, None])
    return np.where(is_inside, ink[:, first:beyond], np.uint8(0)), first


def model_inputs(
    ink: NDArray[np.uint8], cuts: Cuts, candidates: Candidates, chosen: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """Some candidates as the model sees them: (M, 28, 28) uint8, zeros where the ink is too faint to show."""
    images = np.zeros((len(chosen), SIDE, SIDE), np.uint8)
    for place, index in enumerate(chosen.tolist()):
        region, _ = between(ink, cuts, int(candidates.starts[index]), int(candidates.ends[index]))
        try:
            images[place] = normalise(region)
        except BlankImage:
            continue
    return images
