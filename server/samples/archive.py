"""The form of an archive of samples: a zip with `samples.npz` and, for each sample, its drawing as a PNG.

    samples.npz                  arrays of N entries each, in one order; see ARRAYS
    drawings/<sample_id>.png     N files

`docs/samples.md` describes it for who writes one.
"""

from __future__ import annotations

import cv2

from server.preprocessing.decode import decode_pixels
from server.preprocessing.header import MAX_BYTES, ImageFormat, read_header

NPZ = "samples.npz"
DRAWINGS = "drawings/"
PNG = ".png"

ARRAYS = {
    "sample_id": "U",
    "pixels": "u",
    "label": "iu",
    "predicted_digit": "iu",
    "confidence": "f",
    "model_version": "iu",
    "artifact_sha256": "S",
    "create_time": "M",
    "update_time": "M",
    "source": "U",
    "use": "U",
}
"""The arrays and the kinds of numbers, as NumPy calls them, that they may be of."""
REQUIRED = ("sample_id", "pixels", "label")
"""Without the others a sample is read by the deployed version."""

MAX_ARCHIVE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20


def drawing_name(sample_id: str) -> str:
    """The name of a sample's drawing in an archive."""
    return f"{DRAWINGS}{sample_id}{PNG}"


def as_png(drawing: bytes) -> bytes:
    """A drawing as a PNG with the same pixels; as it is when it is one already.

    A photograph may become larger than an image may be: it is made smaller then, by halves.
    """
    if read_header(drawing).format is ImageFormat.PNG:
        return drawing
    pixels = decode_pixels(drawing)
    while len(encoded := cv2.imencode(PNG, pixels)[1].tobytes()) > MAX_BYTES:
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return encoded
