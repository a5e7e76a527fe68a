"""A digit as ink: a PNG whose opacity is the image, to be shown in any colour."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from html import escape

import numpy as np
import streamlit as st
from digits.client.records import Pixels


def large_image(pixels: Pixels, *, alt: str, size_px: int = 252) -> None:
    """Show one digit large, in the colour of the text, each of its 28x28 pixels to be seen."""
    mask = f"url({data_uri(pixels)}) 0 0 / 100% 100%"
    st.html(
        f'<div role="img" aria-label="{escape(alt)}" style="inline-size:{size_px}px;max-inline-size:100%;'
        f"aspect-ratio:1;background:currentColor;-webkit-mask:{mask};mask:{mask};image-rendering:pixelated;"
        'forced-color-adjust:none"></div>'
    )


def data_uri(pixels: Pixels) -> str:
    """The address of a PNG that holds the ink of a (28, 28) uint8 image as its opacity."""
    return "data:image/png;base64," + base64.b64encode(ink_png(pixels)).decode()


def ink_png(pixels: Pixels) -> bytes:
    """Write a (H, W) uint8 image as a PNG of black ink: the value is the opacity, 0 = transparent."""
    height, width = pixels.shape
    grey_alpha = np.zeros((height, width, 2), np.uint8)
    grey_alpha[..., 1] = pixels
    # Each row begins with its filter: 0 = none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey_alpha.reshape(height, -1)], axis=1)
    png = io.BytesIO()
    png.write(b"\x89PNG\r\n\x1a\n")
    for name, body in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ):
        png.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return png.getvalue()
