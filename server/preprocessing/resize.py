"""The plain resize that the classic script used: the whole picture, wherever the ink is in it."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BlankImage
from server.preprocessing.normalise import SIDE


class Interpolation(StrEnum):
    """How a pixel of the smaller picture is made from those of the larger one."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    AREA = "area"
    CUBIC = "cubic"


_FLAGS = {
    Interpolation.NEAREST: cv2.INTER_NEAREST,
    Interpolation.BILINEAR: cv2.INTER_LINEAR,
    Interpolation.AREA: cv2.INTER_AREA,
    Interpolation.CUBIC: cv2.INTER_CUBIC,
}


def plain_resize(ink: NDArray[np.uint8], interpolation: Interpolation) -> NDArray[np.uint8]:
    """The whole of a drawing at 28×28: (H, W) uint8 -> (28, 28) uint8; what is not square is distorted.

    Raises BlankImage when there is no ink, or when none of it is left at this size.
    """
    if not ink.any():
        raise BlankImage("image", "expected a drawn digit, got a picture without ink")
    resized = np.asarray(cv2.resize(ink, (SIDE, SIDE), interpolation=_FLAGS[interpolation]), np.uint8)
    if not resized.any():
        raise BlankImage(
            "image",
            f"the {interpolation} resize to 28×28 leaves nothing of so fine ink; use the normalisation",
        )
    return resized
