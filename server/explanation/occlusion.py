"""What a reading rests on: cover a part of the image, and see by how much the probability falls.

Occlusion sensitivity (Zeiler, Fergus 2014): it asks nothing of the model but answers, so that it is the
artifact itself that is explained, and it shows what covering does, not what a gradient promises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIDE = 28
PATCH = 6
"""Side of the square that is covered: wider than a stroke, so that one is truly gone."""
STRIDE = 2
# From -2 to 24, beyond both edges alike: the border is covered as often as it can be.
STARTS = np.arange(-STRIDE, SIDE - PATCH + STRIDE + 1, STRIDE)
PLACES = len(STARTS)


def covered(image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The image with one square covered by background, for every square that has ink in it.

    (28, 28) uint8 -> (P, 28, 28) uint8, and which of the places they are: (14, 14) bool with P set.
    """
    copies = []
    has_ink = np.zeros((PLACES, PLACES), np.bool_)
    for row, top in enumerate(STARTS):
        for column, left in enumerate(STARTS):
            rows, columns = slice(max(0, top), top + PATCH), slice(max(0, left), left + PATCH)
            if image[rows, columns].any():
                has_ink[row, column] = True
                copy = image.copy()
                copy[rows, columns] = 0
                copies.append(copy)
    return np.array(copies, np.uint8).reshape(-1, SIDE, SIDE), has_ink


def spread(falls: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The falls at the places, (14, 14) float32, as a smooth map over the image: (28, 28) float32.

    Each pixel is a weighted mean of the squares around it, so that the map stays in the range of the falls.
    """
    centres = STARTS + (PATCH - 1) / 2
    distances = np.abs(np.arange(SIDE)[:, np.newaxis] - centres)  # (28, 14)
    weights = np.maximum(0.0, 1.0 - distances / ((PATCH + 1) / 2))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(weights @ falls @ weights.T, np.float32)
