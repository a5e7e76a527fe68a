"""What is ink and what is paper in a picture, whichever is the darker.

A drawing made on a screen has one level of paper and keeps every grey level of its strokes: what differs from
the paper by no more than noise becomes 0. A photograph or a scan has a way of its own.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.preprocessing.colour import on_paper, to_grey
from server.preprocessing.frame import without_frame
from server.preprocessing.levels import FAINT, LEVELS, Paper, count_faint, find_paper, histogram
from server.preprocessing.photograph import photographed_ink
from server.preprocessing.pieces import has_gap, without_specks

# Ink differs from its paper by at least this many levels: a smaller difference nobody sees. A fraction of the
# strongest ink is noise: compression (JPEG, WebP) leaves traces around strokes that are about this strong.
MIN_CONTRAST, NOISE_FLOOR = 16, 0.12
# Of the largest piece of ink: the pen that drew it would leave a larger dot.
DRAWN_SPECK = 0.005
# Photographs are larger than this, in pixels: below, edges of strokes are most of a picture.
MIN_PHOTO_SIDE = 64
# Of the picture: compression leaves less than this in a drawing, light and grain much more in a photograph.
MAX_DRAWN_FAINT = 0.02

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def to_ink(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Ink of a picture: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA uint8 -> (H, W) uint8, 0 = paper.

    For one digit and for many alike. Pixels stay where they are: the ink has the picture's size. Paper is
    exactly 0, so that connected pieces are pieces of strokes. In a drawing strokes keep the levels of their
    soft edges; only pieces below a 200th of the largest are taken away. In a photograph the strongest ink is
    about 255; taken away are shadows, the table, ruled lines, what lies along the edge of the sheet, and what
    is below a 50th of the largest piece or too small for a digit: decimal points perhaps. Digits stay, but
    for a few faint ones in a hard shadow or on squares as large as they are: see docs/normalisation.md.
    """
    has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
    grey = without_frame(on_paper(pixels) if has_alpha else to_grey(pixels))
    paper = find_paper(grey)
    if _is_drawn(paper, grey):
        return _ink(grey, paper)
    return photographed_ink(grey if has_alpha else pixels)


def _is_drawn(paper: Paper, grey: NDArray[Any]) -> bool:
    """Whether it was made on a screen: paper is one level there, and only the edges of strokes come near."""
    shorter, longer = int(min(grey.shape)), int(max(grey.shape))
    if paper.noise or longer < MIN_PHOTO_SIDE:
        return longer < MIN_PHOTO_SIDE
    if paper.faint < MAX_DRAWN_FAINT or shorter < MIN_PHOTO_SIDE:
        return True
    # What was enlarged has wide edges.
    is_ink = (np.abs(grey.astype(np.int16) - paper.level) > FAINT[1]).astype(np.uint8) * np.uint8(255)
    reach = 2 * round(shorter / 14) + 1
    is_far = cv2.bitwise_not(cv2.dilate(is_ink, np.ones((reach, reach), np.uint8)))
    return bool(count_faint(histogram(grey, is_far), paper.level) < MAX_DRAWN_FAINT * grey.size)


def _ink(grey: NDArray[Any], paper: Paper) -> NDArray[np.uint8]:
    """The difference from the paper where it is more than noise, `NOISE_FLOOR` of the strongest ink.

    Where there is no noise, the neighbours of ink are kept too: they are the soft edge of a stroke.
    """
    differences = LEVELS - paper.level if paper.is_dark else paper.level - LEVELS
    ink = cv2.LUT(grey, np.maximum(differences, 0).astype(np.uint8))
    most = cv2.minMaxLoc(ink)[1]
    if most < max(MIN_CONTRAST, 6 * paper.noise):
        return np.zeros(grey.shape, np.uint8)
    _, is_ink = cv2.threshold(ink, max(NOISE_FLOOR * most, 4.5 * paper.noise), 255, cv2.THRESH_BINARY)
    kept = np.asarray(cv2.bitwise_and(ink, cv2.dilate(is_ink, _NEIGHBOURS)), np.uint8)
    if cv2.countNonZero(ink) <= 1.01 * cv2.countNonZero(kept):
        return without_specks(kept, DRAWN_SPECK) if has_gap(kept) else kept
    return without_specks(np.asarray(cv2.bitwise_and(ink, is_ink), np.uint8))
