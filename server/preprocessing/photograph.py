"""The ink in a photograph or a scan of paper, whatever the light, the paper and the table under it.

Ink is what keeps back a share of the light that the paper around it gives: dividing by that paper evens out
lamps and shadows. The paper is the morphological closing of the picture, which fills everything dark and
narrower than a window and leaves straight edges where they are, so that the edge of a shadow, or of the sheet
itself, is no ink.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.preprocessing.colour import to_grey
from server.preprocessing.levels import histogram, percentile
from server.preprocessing.lines import without_lines
from server.preprocessing.pieces import keep_strokes
from server.preprocessing.sheet import find_sheet

# A photograph is judged at this many pixels: enough for a digit a twentieth as high.
_AREA = 360_000
# Of the shorter side: wider than the fattest stroke.
_WINDOW = 0.35
# Ink keeps back at least this much of the paper's light, and stands so many deviations out from its grain.
_MIN_SHARE, _DEVIATIONS = 0.09, 6.0
# And differs from it by so many levels: in the dark, a small difference is a large share.
_MIN_LEVELS = 10
# Of the faintest ink: a printed line breaks up below it.
_FAINT = 0.6
# Of the strongest ink: what keeps back less is a print, a stain or what is left of a shadow.
_FLOOR = 0.4
# Of the strongest ink, within two pixels: the edge of a stroke is as steep, that of a soft shadow is not.
_STEEP = 0.3

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def photographed_ink(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Ink of a photograph: (H, W) or (H, W, 3) BGR uint8 -> (H, W) uint8, 0 = paper."""
    height, width = pixels.shape[:2]
    scale = min((_AREA / (height * width)) ** 0.5, 1.0)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(_ink(small), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return _ink(pixels)


def _ink(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    sheet = find_sheet(to_grey(pixels))
    grey = cv2.GaussianBlur(to_grey(pixels, sheet), (0, 0), 0.8)
    if _is_light_on_dark(grey, sheet):
        grey = cv2.bitwise_not(grey)
    window = _WINDOW * min(grey.shape)
    share = _kept_back(grey, sheet, window)
    is_ink, most = _find_ink(share, sheet)
    # Again with a window that fits the strokes: it leaves less of soft shadows.
    narrower = 3.0 * _stroke_width(_above(cv2.bitwise_and(share, is_ink), 0.7 * most))
    if 0 < narrower < 0.7 * window:
        share = _kept_back(grey, sheet, narrower)
        is_ink, most = _find_ink(share, sheet)
    ink = cv2.convertScaleAbs(share, alpha=255 / most)
    return np.asarray(cv2.bitwise_and(ink, cv2.dilate(is_ink, _NEIGHBOURS)), np.uint8)


def _kept_back(grey: NDArray[Any], sheet: NDArray[np.uint8], window: float) -> NDArray[np.uint8]:
    """How much of the paper's light each pixel keeps back: (H, W) uint8, 0 = nothing, 255 = all."""
    reach = int(window) // 2
    # Whatever is cut off by the picture's edge is taken to go on, so that a dark margin is not filled.
    wider = cv2.copyMakeBorder(grey, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    wider = cv2.morphologyEx(wider, cv2.MORPH_CLOSE, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    paper: NDArray[Any] = wider[reach : reach + grey.shape[0], reach : reach + grey.shape[1]]
    share = np.asarray(cv2.bitwise_not(cv2.divide(grey, paper, scale=255)), np.uint8)
    # The closing lies on top of the paper's grain.
    usual = percentile(histogram(share, sheet), 0.5)
    share = np.maximum(share, usual) - np.uint8(usual)
    share[(cv2.subtract(paper, grey) < _MIN_LEVELS) | (sheet == 0)] = 0
    return share


def _find_ink(share: NDArray[np.uint8], sheet: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """255 where there is ink, else 0, and how much light the strongest ink keeps back, 1 to 255."""
    grain = percentile(histogram(cv2.absdiff(share, cv2.blur(share, (5, 5))), sheet), 0.68)
    lowest = max(255 * _MIN_SHARE, _DEVIATIONS * grain)
    steepness = cv2.morphologyEx(share, cv2.MORPH_GRADIENT, _NEIGHBOURS)
    is_steep = _above(steepness, _STEEP * lowest)
    is_ink = without_lines(_above(share, lowest), _above(share, _FAINT * lowest), sheet)
    # Soft shadows may still join ink here: the ink is what lies along steep edges.
    strokes = keep_strokes(is_ink, is_steep)
    edges = cv2.bitwise_and(strokes, cv2.dilate(is_steep, _NEIGHBOURS))
    most = max(percentile(histogram(share, edges), 0.9), 1)
    strokes[share < max(lowest, _FLOOR * most)] = 0
    return keep_strokes(strokes, _above(steepness, _STEEP * most), sheet), most


def _above(values: NDArray[Any], level: float) -> NDArray[np.uint8]:
    """255 where there is at least this level, which is more than 0, else 0."""
    return np.asarray(cv2.inRange(values, level, 255), np.uint8)


def _stroke_width(is_ink: NDArray[Any]) -> float:
    """The width of the widest stroke in pixels, 0 where there is none."""
    return 2.0 * float(cv2.distanceTransform(is_ink, cv2.DIST_L2, 3).max())


def _is_light_on_dark(grey: NDArray[Any], sheet: NDArray[np.uint8]) -> bool:
    """Whether it is chalk on a board, or the like.

    The median over a window that is wide compared with a stroke is the paper, be it lighter or darker. Ink
    differs much from it and noise differs little: squares tell on which side the ink is. Only along steep
    edges, for a lamp's spot is lighter than what is around it, too.
    """
    if percentile(histogram(grey, sheet), 0.5) > 140:
        return False
    height, width = grey.shape
    scale = 96 / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    steepness = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, _NEIGHBOURS)
    is_steep = cv2.dilate(_above(steepness, 0.4 * float(steepness.max())), _NEIGHBOURS) > 0
    is_sheet = cv2.resize(sheet, size, interpolation=cv2.INTER_NEAREST) > 0
    differences = (small.astype(np.float32) - cv2.medianBlur(small, 41))[is_steep & is_sheet]
    lighter, darker = np.maximum(differences, 0), np.minimum(differences, 0)
    return float(np.square(lighter).sum()) > 2 * float(np.square(darker).sum())
