"""A drawing that somebody has labelled under its prediction."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from server.preprocessing import decode_image
from server.preprocessing.header import read_header
from server.samples.archive import PNG
from server.samples.fingerprints import forms
from server.samples.sample import SIDE, NewSample, SampleSource


def drawn(
    encoded: bytes | None,
    pixels: npt.NDArray[np.uint8],
    label: int,
    predicted_digit: int,
    confidence: float,
    model_version: int,
) -> NewSample:
    """A sample from a drawing that was read: `pixels`, (28, 28) uint8, is what the version has seen.

    `encoded`: the drawing's file; None when the pixels themselves were sent, which become its PNG.
    """
    ink = None
    if encoded is None:
        encoded = cv2.imencode(PNG, pixels)[1].tobytes()
    else:
        header = read_header(encoded)
        # A larger one is known by its pixels: those are the normalised drawing.
        if (header.width, header.height) == (SIDE, SIDE):
            ink = decode_image(encoded)
    return NewSample(
        label=label,
        drawing=encoded,
        pixels=pixels,
        fingerprints=forms(pixels, ink),
        predicted_digit=predicted_digit,
        confidence=confidence,
        model_version=model_version,
        source=SampleSource.DRAWN,
    )
