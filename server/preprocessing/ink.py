"""What is ink and what is paper in a picture, whichever is the darker.

A drawing made on a screen has one level of paper and keeps every grey level of its strokes. A photograph or a
scan first has its light evened out. In both, what differs from the paper by no more than noise becomes 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.preprocessing.frame import without_frame

# Ink differs from its paper by at least this many levels: a smaller difference nobody sees. A fraction of the
# strongest ink is noise: compression (JPEG, WebP) leaves traces around strokes that are about this strong.
MIN_CONTRAST, NOISE_FLOOR = 16, 0.12
# The same in a photograph, where folds and the edges of shadows show as well.
PHOTO_MIN_CONTRAST, PHOTO_NOISE_FLOOR = 48, 0.35
# In a drawing, unlike a photograph, most of the paper is within so many levels, half of it within 1.
FLATNESS = 6
MAX_DRAWN_NOISE = 2.0
# Photographs are larger than this, in pixels.
MIN_PHOTO_SIDE = 64
# Of the largest piece of ink, in a picture with noise: smaller pieces are dust, or traces of compression.
SPECK = 0.02

_LEVELS = np.arange(256)
_NEIGHBOURS = np.ones((3, 3), np.uint8)


def to_ink(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Ink of a picture: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA uint8 -> (H, W) uint8, 0 = paper."""
    grey = _on_paper(pixels) if pixels.ndim == 3 and pixels.shape[2] == 4 else _grey(pixels)
    grey = without_frame(grey)
    paper = _paper(grey)
    if paper.is_drawn:
        return _ink(grey, paper, MIN_CONTRAST, NOISE_FLOOR)
    grey = _evenly_lit(grey)
    return _ink(grey, _paper(grey), PHOTO_MIN_CONTRAST, PHOTO_NOISE_FLOOR)


@dataclass(frozen=True)
class _Paper:
    """`level`: 0 to 255. `noise`: standard deviation in levels. `is_drawn`: as on a screen, no photograph."""

    level: int
    is_dark: bool
    noise: float
    is_drawn: bool


def _grey(pixels: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[Any]:
    """One channel: brightness, unless a colour shows clearly more (yellow on white, red on green)."""
    if pixels.ndim == 2:
        return pixels
    code = cv2.COLOR_BGRA2GRAY if pixels.shape[2] == 4 else cv2.COLOR_BGR2GRAY
    grey: NDArray[Any] = cv2.cvtColor(pixels, code)
    spreads = cv2.meanStdDev(pixels, mask=mask)[1].ravel()[:3]
    strongest = int(spreads.argmax())
    if spreads[strongest] <= 1.25 * cv2.meanStdDev(grey, mask=mask)[1].item():
        return grey
    return cv2.extractChannel(pixels, strongest)


def _on_paper(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture with alpha, on the paper that it was made for: black ink on white, white ink on black."""
    alpha: NDArray[Any] = cv2.extractChannel(pixels, 3)
    least, most, _, _ = cv2.minMaxLoc(alpha)
    if least == most:
        return _grey(pixels) if most else np.zeros_like(alpha)
    is_opaque: NDArray[Any] = cv2.threshold(alpha, most // 2, 255, cv2.THRESH_BINARY)[1]
    grey = _grey(pixels, is_opaque)
    counts = _histogram(grey, is_opaque)
    contrast = _percentile(counts, 0.98) - _percentile(counts, 0.02)
    _, _, width, height = cv2.boundingRect(is_opaque)
    if contrast > 64 and counts.sum() > 0.6 * width * height:
        behind = _percentile(counts, 0.5)  # a sheet with ink on it: its surroundings become more of its paper
    else:
        behind = 255 if counts @ _LEVELS < 128 * counts.sum() else 0  # ink alone: what it stands out from
    visible = cv2.multiply(grey, alpha, scale=1 / 255)
    return cv2.add(visible, cv2.convertScaleAbs(cv2.bitwise_not(alpha), alpha=behind / 255))


def _paper(grey: NDArray[Any]) -> _Paper:
    counts = _histogram(grey)
    border = np.bincount(np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1])), minlength=256)
    level, anywhere = _percentile(border, 0.5), _percentile(counts, 0.5)
    # Far from the border's level it is fat ink, which covers most of a tight crop; close to it, the border's
    # level may be the soft edge of ink.
    if abs(level - anywhere) <= 2 * FLATNESS and counts[anywhere] > counts[level]:
        level = anywhere
    deviations = np.abs(_LEVELS - level)
    # Ink differs much and noise differs little: squares tell on which side of the paper the ink is.
    energy = counts * deviations**2
    is_dark = bool(energy[level:].sum() >= energy[:level].sum())
    is_near = deviations <= 32
    noise = 1.4826 * _percentile(np.bincount(deviations[is_near], weights=counts[is_near]), 0.5)
    # On a screen, paper is one level and no other; a scan or a photograph of even light comes close to that.
    is_even = _near(counts, level) > 0.6 * grey.size and noise < 2
    is_drawn = noise == 0 or is_even or min(grey.shape) < MIN_PHOTO_SIDE
    return _Paper(level, is_dark, noise, is_drawn)


def _ink(grey: NDArray[Any], paper: _Paper, min_contrast: float, floor: float) -> NDArray[np.uint8]:
    """The difference from the paper where it is more than noise, `floor` of the strongest ink.

    Where there is no noise, the neighbours of ink are kept too: they are the soft edge of a stroke.
    """
    differences = _LEVELS - paper.level if paper.is_dark else paper.level - _LEVELS
    ink = cv2.LUT(grey, np.maximum(differences, 0).astype(np.uint8))
    most = cv2.minMaxLoc(ink)[1]
    if most < max(min_contrast, 6 * paper.noise):
        return np.zeros(grey.shape, np.uint8)
    _, is_ink = cv2.threshold(ink, max(floor * most, 4.5 * paper.noise), 255, cv2.THRESH_BINARY)
    kept = np.asarray(cv2.bitwise_and(ink, cv2.dilate(is_ink, _NEIGHBOURS)), np.uint8)
    if cv2.countNonZero(ink) <= 1.01 * cv2.countNonZero(kept):
        return kept  # on a canvas every dot is meant
    return _without_specks(np.asarray(cv2.bitwise_and(ink, is_ink), np.uint8))


def _evenly_lit(grey: NDArray[Any]) -> NDArray[Any]:
    """The difference from the paper around each pixel, with the paper at 128.

    The median over a window that is wide compared with a stroke is the paper, be it lighter or darker.
    """
    height, width = grey.shape
    scale = 96 / max(height, width)
    small_size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(grey, small_size, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(cv2.medianBlur(small, 41), (0, 0), 4)
    light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.addWeighted(grey, 1, light, -1, 128)


def _without_specks(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink without pieces that are far smaller than the largest one."""
    left, top, width, height = cv2.boundingRect(ink)
    inked = ink[top : top + height, left : left + width]
    pieces, labels, statistics, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]  # the first is the paper
    if pieces <= 2 or areas.min() >= SPECK * areas.max():
        return ink
    is_kept = np.concatenate(([False], areas >= SPECK * areas.max()))
    inked[~is_kept[labels]] = 0
    return ink


def _histogram(grey: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """How many pixels have each level: (256,)."""
    return np.asarray(cv2.calcHist([grey], [0], mask, [256], [0, 256]), np.float32).ravel()


def _percentile(counts: NDArray[Any], share: float) -> int:
    """The level that at least this share of the pixels does not exceed."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, share * below[-1]))


def _near(counts: NDArray[Any], level: int) -> float:
    return float(counts[max(level - FLATNESS, 0) : level + FLATNESS + 1].sum())
