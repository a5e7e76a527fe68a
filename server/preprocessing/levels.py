"""How many pixels of a picture have each level, and what that tells about its paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LEVELS = np.arange(256)
# Levels this far apart may be the same paper, with a soft edge of ink on it.
_FLATNESS = 6
# Nearly paper is what differs from it by so many levels, from and to.
FAINT = (3, 24)


@dataclass(frozen=True)
class Paper:
    """`level`: 0 to 255. `noise`: standard deviation in levels, 0 on a screen.

    `faint`: the share of the picture, 0 to 1, that is nearly paper and not quite.
    """

    level: int
    is_dark: bool
    noise: float
    faint: float


def find_paper(grey: NDArray[Any]) -> Paper:
    """What is behind the ink of a picture: (H, W) uint8."""
    counts = histogram(grey)
    border = np.bincount(np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1])), minlength=256)
    level, anywhere = percentile(border, 0.5), percentile(counts, 0.5)
    # Far from the border's level it is fat ink, which covers most of a tight crop; close to it, the border's
    # level may be the soft edge of ink.
    if abs(level - anywhere) <= 2 * _FLATNESS and counts[anywhere] > counts[level]:
        level = anywhere
    deviations = np.abs(LEVELS - level)
    # Ink differs much and noise differs little: squares tell on which side of the paper the ink is.
    energy = counts * deviations**2
    is_dark = bool(energy[level:].sum() >= energy[:level].sum())
    is_near = deviations <= 32
    noise = 1.4826 * percentile(np.bincount(deviations[is_near], weights=counts[is_near]), 0.5)
    return Paper(level, is_dark, noise, count_faint(counts, level) / grey.size)


def count_faint(counts: NDArray[Any], level: int) -> float:
    """How many pixels are nearly paper of this level and not quite: `counts`, (256,), by level."""
    least, most = FAINT
    darker = counts[max(level - most, 0) : max(level - least + 1, 0)]
    return float(darker.sum() + counts[level + least : level + most + 1].sum())


def histogram(grey: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """How many pixels have each level: (H, W) uint8 -> (256,); where `mask`, (H, W) uint8, is not 0."""
    return np.asarray(cv2.calcHist([grey], [0], mask, [256], [0, 256]), np.float32).ravel()


def percentile(counts: NDArray[Any], share: float) -> int:
    """The level that at least this share of the pixels does not exceed."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, share * below[-1]))
