"""From the bytes of an image file to ink: (H, W) uint8, light on dark."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from server.errors import InvalidImage
from server.preprocessing.header import Header, ImageFormat, read_header
from server.preprocessing.ink import to_ink
from server.preprocessing.png import TooMuch, essential


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """The ink of an encoded image: (H, W) uint8, 0 = paper, whichever way round it was drawn.

    PNG, JPEG, WebP or BMP; grey, coloured, palette, 16 bits, with alpha. A JPEG is turned the way up that its
    EXIF orientation says, as every viewer shows it; the other formats are taken as they are stored. An image
    without ink gives zeros; `to_ink` tells what is taken for ink. Raises InvalidImage for anything that
    cannot be decoded, is truncated, animated, over 4 MiB or over 4096×4096 pixels; size and structure are
    judged before decoding.
    """
    return to_ink(decode_pixels(data))


def decode_pixels(data: bytes) -> NDArray[Any]:
    """The pixels of an encoded image as `decode_image` takes them; raises as it does.

    (H, W), (H, W, 3) BGR or, where there may be transparency, (H, W, 4) BGRA; uint8.
    """
    header = read_header(data)
    if header.format is ImageFormat.PNG:
        try:
            data = essential(data)
        except TooMuch:
            raise InvalidImage(
                "image", f"expected {header.width}×{header.height} pixels, got a PNG file of far more"
            ) from None
    pixels = _decode(data, header)
    if pixels is None or sorted(pixels.shape[:2]) != sorted((header.height, header.width)):
        raise InvalidImage(
            "image", f"expected a {header.format} file, got {len(data)} bytes that cannot be decoded"
        )
    return pixels


def _decode(data: bytes, header: Header) -> NDArray[Any] | None:
    """(H, W), (H, W, 3) BGR or, where there may be transparency, (H, W, 4) BGRA; uint8."""
    if header.has_alpha:
        flags = cv2.IMREAD_UNCHANGED  # the only way to the alpha channel
    elif header.format is ImageFormat.JPEG:
        flags = cv2.IMREAD_ANYCOLOR
    else:
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if pixels is not None and pixels.dtype == np.uint16:
        return cv2.convertScaleAbs(pixels, alpha=1 / 257)
    return pixels
