"""Variations of handwritten digits: what hands, pens and tilted paper do to the same digit.

Images are (N, 28, 28) uint8, 0 = background, in and out. Every variation is drawn from a
`numpy.random.Generator` that the caller seeds, so that the same seed gives the same images.
docs/reading.md tells what each part is worth, and which parts were tried and left out.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from server.augmentation.styles import STYLES
from server.datasets import Digits

ROTATION_DEG = 13.0
SHEAR = 0.22
SCALE = (0.82, 1.12)
# Height and width vary apart from each other by this factor at most: narrow hands and wide hands.
STRETCH = 1.15
SHIFT_PX = 1.8
# How many images are made thinner and how many thicker; the others keep their pen.
THINNER_SHARE = 0.25
THICKER_SHARE = 0.35
# How many of the digits that can be written in another way are.
RESTYLED_SHARE = 0.1

_SQUARE = np.ones((2, 2), np.uint8)
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)).astype(np.uint8)
_CENTRE_PX = 14.0


def augment(digits: Digits, generator: np.random.Generator) -> Digits:
    """Each digit turned, slanted, scaled, shifted and written with another pen, some in another way.

    The brightest pixel of each result is 255, as it is after MNIST normalisation. The input is left as it is.
    """
    count = len(digits)
    images = _restyled(digits, generator)
    matrices = _affine_matrices(count, generator)
    pens = generator.random(count).tolist()
    strengths = generator.random(count).tolist()
    varied = np.empty_like(images)
    for index in range(count):
        image = cv2.warpAffine(images[index], matrices[index], (28, 28), flags=cv2.INTER_LINEAR)
        image = _with_another_pen(image, pens[index], strengths[index])
        peak = cv2.minMaxLoc(image)[1]
        # A stroke thinned to nothing teaches nothing: the digit keeps its own pen instead.
        varied[index] = cv2.convertScaleAbs(image, alpha=255.0 / peak) if peak >= 64 else images[index]
    return Digits(varied, digits.labels)


def _restyled(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """A copy of the images, some of them written another way."""
    images = digits.images.copy()
    is_chosen = np.isin(digits.labels, list(STYLES)) & (generator.random(len(digits)) < RESTYLED_SHARE)
    for index in np.flatnonzero(is_chosen):
        if images[index].any():
            STYLES[int(digits.labels[index])](images[index], generator)
    return images


def _with_another_pen(image: np.ndarray, pen: float, strength: float) -> np.ndarray:
    """Blend a digit with its thinner or thicker self: `pen` in [0, 1) chooses which, `strength` how much."""
    if pen < THINNER_SHARE:
        changed = cv2.erode(image, _SQUARE)
    elif pen < THINNER_SHARE + THICKER_SHARE:
        # The stronger half goes up to a felt pen: two pixels wider, as broad pens are on small drawings.
        changed = cv2.dilate(image, _SQUARE if strength < 0.5 else _CROSS)
    else:
        return image
    return cv2.addWeighted(image, 1.0 - strength, changed, strength, 0.0)


def _affine_matrices(count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw (N, 2, 3) float32 matrices that turn, slant, scale and shift about the image's centre."""
    angle = np.deg2rad(generator.uniform(-ROTATION_DEG, ROTATION_DEG, count))
    shear = generator.uniform(-SHEAR, SHEAR, count)
    scale = generator.uniform(*SCALE, count)
    stretch = np.exp(generator.uniform(-math.log(STRETCH), math.log(STRETCH), count))
    shift = generator.uniform(-SHIFT_PX, SHIFT_PX, (count, 2))

    across, down = scale * np.sqrt(stretch), scale / np.sqrt(stretch)
    matrices = np.empty((count, 2, 3), np.float32)
    matrices[:, 0, 0] = across * np.cos(angle)
    matrices[:, 0, 1] = down * (shear * np.cos(angle) - np.sin(angle))
    matrices[:, 1, 0] = across * np.sin(angle)
    matrices[:, 1, 1] = down * (shear * np.sin(angle) + np.cos(angle))
    # OpenCV's pixel centres are whole numbers: the middle of 28 pixels is 13.5.
    centre = np.full(2, _CENTRE_PX - 0.5)
    matrices[:, :, 2] = centre + shift - matrices[:, :, :2] @ centre
    return matrices
