"""One channel out of colours and transparency, in which ink and paper are as far apart as they were made."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.preprocessing.levels import LEVELS, histogram, percentile


def to_grey(pixels: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[Any]:
    """Brightness, unless a colour shows clearly more (yellow on white, red on green).

    (H, W), (H, W, 3) BGR or (H, W, 4) BGRA -> (H, W), all uint8. Only where `mask` is not 0 do pixels have a
    say in it.
    """
    if pixels.ndim == 2:
        return pixels
    code = cv2.COLOR_BGRA2GRAY if pixels.shape[2] == 4 else cv2.COLOR_BGR2GRAY
    grey: NDArray[Any] = cv2.cvtColor(pixels, code)
    spreads = cv2.meanStdDev(pixels, mask=mask)[1].ravel()[:3]
    strongest = int(spreads.argmax())
    if spreads[strongest] <= 1.25 * cv2.meanStdDev(grey, mask=mask)[1].item():
        return grey
    return cv2.extractChannel(pixels, strongest)


def on_paper(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture with alpha, on the paper that it was made for: black ink on white, white ink on black.

    (H, W, 4) BGRA uint8 -> (H, W) uint8.
    """
    alpha: NDArray[Any] = cv2.extractChannel(pixels, 3)
    least, most, _, _ = cv2.minMaxLoc(alpha)
    if least == most:
        return to_grey(pixels) if most else np.zeros_like(alpha)
    is_opaque: NDArray[Any] = cv2.threshold(alpha, most // 2, 255, cv2.THRESH_BINARY)[1]
    grey = to_grey(pixels, is_opaque)
    counts = histogram(grey, is_opaque)
    contrast = percentile(counts, 0.98) - percentile(counts, 0.02)
    _, _, width, height = cv2.boundingRect(is_opaque)
    if contrast > 64 and counts.sum() > 0.6 * width * height:
        behind = percentile(counts, 0.5)  # a sheet with ink on it: its surroundings become more of its paper
    else:
        behind = 255 if counts @ LEVELS < 128 * counts.sum() else 0  # ink alone: what it stands out from
    visible = cv2.multiply(grey, alpha, scale=1 / 255)
    return cv2.add(visible, cv2.convertScaleAbs(cv2.bitwise_not(alpha), alpha=behind / 255))
