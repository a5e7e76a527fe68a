"""From a picture that a person drew to the (28, 28) picture that a model reads: arrays in, arrays out."""

from __future__ import annotations

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import BlankImage, InvalidImage
from server.preprocessing.decode import decode_image
from server.preprocessing.normalise import SIDE, normalise
from server.preprocessing.resize import Interpolation, plain_resize

__all__ = ["Interpolation", "Preprocessing", "decode_image", "normalise", "plain_resize", "to_model_input"]

# The pictures are small: OpenCV's own threads would cost more than they save, and compete with the engine.
cv2.setNumThreads(1)
# What is wrong with a picture is told to its sender; OpenCV would also print it, once for each bad request.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Preprocessing(StrEnum):
    """How ink becomes what the model sees."""

    NORMALISE = "normalise"
    RESIZE = "resize"
    NONE = "none"


def to_model_input(
    ink: NDArray[np.uint8],
    preprocessing: Preprocessing = Preprocessing.NORMALISE,
    interpolation: Interpolation = Interpolation.BILINEAR,
) -> NDArray[np.uint8]:
    """Ink, (H, W) uint8, 0 = background -> (28, 28) uint8. `interpolation` is for RESIZE only.

    Raises BlankImage when there is no ink, InvalidImage when NONE is asked of ink that is not (28, 28).
    """
    if preprocessing is Preprocessing.NORMALISE:
        return normalise(ink)
    if preprocessing is Preprocessing.RESIZE:
        return plain_resize(ink, interpolation)
    if ink.shape != (SIDE, SIDE):
        raise InvalidImage(
            "image", f"expected 28×28 pixels where nothing is resized, got {ink.shape[1]}×{ink.shape[0]}"
        )
    if not ink.any():
        raise BlankImage("image", "expected a drawn digit, got a picture without ink")
    return ink
