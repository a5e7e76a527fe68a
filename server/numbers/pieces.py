"""The pieces that the ink of a picture falls into: connected strokes, without specks and ruled lines."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidImage

# Ink fainter than this share of the strongest is the soft edge of a stroke, and joins nothing.
SOLID = 0.25
# Of the digits' height: smaller pieces are specks. Of it squared: pieces of less ink are, too.
SPECK_SIDE, SPECK_AREA = 0.09, 0.004
# A picture full of writing has a few hundred pieces.
MAX_PIECES = 1024
# Of the digits' height: straight runs of ink this long make up a rule, when together they are so long and no
# thicker than this.
RULE_RUN, RULE_LENGTH, RULE_THICKNESS = 1.0, 3.0, 0.2
# Seven digits that all touch are as flat and as full as a dash, but columns cross their strokes more often.
ONE_STROKE = 1.25
# Dashes are so many times as wide as they are high, and fill at least this share of their boxes: the longer
# they are, the more they lean.
DASHES = ((1.8, 0.55), (8.0, 0.45), (16.0, 0.0))


class Pieces(NamedTuple):
    """N pieces of ink."""

    labels: NDArray[np.int32]
    """(H, W) int32: 0 = paper, otherwise 1 + the piece's index."""
    boxes: NDArray[np.int32]
    """(N, 4) int32: x, y, width, height."""
    areas: NDArray[np.int32]
    """(N,) int32: pixels."""


def find_pieces(ink: NDArray[np.uint8]) -> Pieces:
    """The pieces of a picture's ink: (H, W) uint8, 0 = paper. Raises InvalidImage when there are too many."""
    solid = _solid(ink)
    pieces = _connected(solid)
    height = digit_height(pieces.boxes)
    without = _without_rules(solid, height)
    if without is not solid:
        pieces = _connected(without)
        height = digit_height(pieces.boxes)
    return _without_specks(pieces, height)


def are_dashes(pieces: Pieces) -> NDArray[np.bool_]:
    """(N,) bool: which pieces are flat, full and of one stroke, as no digit and no row of digits is."""
    aspects = pieces.boxes[:, 2] / pieces.boxes[:, 3]
    shares = pieces.areas / (pieces.boxes[:, 2] * pieces.boxes[:, 3])
    found = np.zeros(len(aspects), np.bool_)
    for aspect, share in DASHES:
        found |= (aspects > aspect) & (shares > share)
    for index in np.flatnonzero(found):
        found[index] = _strokes_across(pieces, int(index)) < ONE_STROKE
    return found


def _strokes_across(pieces: Pieces, index: int) -> float:
    """How many stretches of ink a column of a piece has, on average: one in a dash, more in digits."""
    x, y, width, height = pieces.boxes[index]
    is_ink = pieces.labels[y : y + height, x : x + width] == index + 1
    begins = np.diff(is_ink.astype(np.int8), axis=0, prepend=np.int8(0)) > 0
    return float(begins.sum() / width)


def digit_height(boxes: NDArray[np.int32]) -> float:
    """How tall digits are among pieces, in pixels: the median of what is not far lower than the tallest.

    Flat pieces and upright hair lines of the picture's edge do not count, where there is anything else.
    """
    if not len(boxes):
        return 0.0
    widths, heights = boxes[:, 2].astype(float), boxes[:, 3].astype(float)
    is_shaped = (widths < 8 * heights) & (heights < 14 * widths)
    heights = heights[is_shaped] if is_shaped.any() else heights
    # Ten thousand specks around five digits must not outvote them: each piece counts by its height squared.
    order = np.argsort(heights)
    weight = np.cumsum(heights[order] ** 2)
    typical = float(heights[order][np.searchsorted(weight, weight[-1] / 2)])
    return float(np.median(heights[heights >= 0.5 * typical]))


def _solid(ink: NDArray[np.uint8]) -> NDArray[Any]:
    most = cv2.minMaxLoc(ink)[1]
    return cv2.threshold(ink, max(SOLID * most, 1), 255, cv2.THRESH_BINARY)[1]


def _connected(solid: NDArray[Any]) -> Pieces:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(solid, connectivity=8, ltype=cv2.CV_32S)
    table: NDArray[np.int32] = np.asarray(statistics, np.int32)[1:]  # the first is the paper
    return Pieces(np.asarray(labels, np.int32), table[:, :4], table[:, 4])


def _without_specks(pieces: Pieces, height: float) -> Pieces:
    """Without what is far smaller than a digit, dots included only when they are very fine."""
    longer = np.maximum(pieces.boxes[:, 2], pieces.boxes[:, 3])
    is_kept = (longer >= SPECK_SIDE * height) & (pieces.areas >= SPECK_AREA * height**2)
    count = int(is_kept.sum())
    if count > MAX_PIECES:
        raise InvalidImage(
            "encoded", f"expected at most {MAX_PIECES} pieces of ink, got {count}: too many for numbers"
        )
    numbering = np.zeros(len(is_kept) + 1, np.int32)
    numbering[1:][is_kept] = np.arange(1, count + 1)
    return Pieces(numbering[pieces.labels], pieces.boxes[is_kept], pieces.areas[is_kept])


def _without_rules(solid: NDArray[Any], height: float) -> NDArray[Any]:
    """The ink without long straight lines, along and across; strokes that cross one stay whole."""
    if height < 8:
        return solid
    cleared = _without_horizontal_rules(solid, height)
    turned = _without_horizontal_rules(np.ascontiguousarray(cleared.T), height)
    return cleared if turned.base is cleared else np.ascontiguousarray(turned.T)


def _without_horizontal_rules(solid: NDArray[Any], height: float) -> NDArray[Any]:
    run = max(int(RULE_RUN * height), 12)
    if solid.shape[1] < RULE_LENGTH * height:
        return solid
    runs = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    if not runs.any():
        return solid
    thick = max(int(RULE_THICKNESS * height), 3)
    # What is as thick as a digit's body is no rule.
    runs = cv2.subtract(runs, cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((thick, 3), np.uint8)))
    joined = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((3, run), np.uint8))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    lengths, heights = statistics[:, cv2.CC_STAT_WIDTH], statistics[:, cv2.CC_STAT_HEIGHT]
    is_rule = (lengths >= RULE_LENGTH * height) & (heights <= thick + 0.1 * lengths)
    is_rule[0] = False
    if not is_rule.any():
        return solid
    rules = cv2.dilate((is_rule[labels] & (runs > 0)).astype(np.uint8) * 255, np.ones((3, 1), np.uint8))
    rules = cv2.bitwise_and(rules, solid)
    cleared = cv2.subtract(solid, rules)
    # A stroke that goes on above and below the rule crosses it: that part of the rule is the stroke's.
    reach = np.ones((2 * thick + 1, 1), np.uint8)
    above = cv2.dilate(cleared, reach, anchor=(0, 2 * thick))
    below = cv2.dilate(cleared, reach, anchor=(0, 0))
    crossing = cv2.bitwise_and(cv2.bitwise_and(above, below), rules)
    return cv2.bitwise_or(cleared, crossing)
