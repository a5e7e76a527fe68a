"""By what a drawing is known to be a test digit, in whichever form that was sent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from server.errors import BlankImage
from server.preprocessing import normalise
from server.samples.sample import SIDE, fingerprint


def forms(pixels: npt.NDArray[np.uint8], ink: npt.NDArray[np.uint8] | None = None) -> tuple[str, ...]:
    """The fingerprints of all forms of a drawing, that of `pixels` first.

    `pixels`: (28, 28) uint8, what a model sees. `ink`: the decoded drawing, (H, W) uint8, where there is one.
    A test digit sent as a file is found by its normalised form, and by its own pixels where it was sent in
    its own size.
    """
    images = [pixels, _normalised(pixels)]
    if ink is not None:
        images.append(_normalised(ink))
        if ink.shape == (SIDE, SIDE):
            images.append(ink)
    return tuple(dict.fromkeys(fingerprint(image) for image in images if image is not None))


def _normalised(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    try:
        return normalise(ink)
    except BlankImage:
        return None
