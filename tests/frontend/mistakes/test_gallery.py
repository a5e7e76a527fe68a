"""Digits as images for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from frontend.gallery import data_uri, ink_png


def test_a_digit_becomes_a_png_whose_opacity_is_its_ink() -> None:
    pixels = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)

    image = Image.open(io.BytesIO(ink_png(pixels)))

    assert image.mode == "LA"
    grey, alpha = (np.asarray(channel) for channel in image.split())
    np.testing.assert_array_equal(alpha, pixels)
    assert not grey.any()


def test_a_data_uri_holds_the_whole_png() -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[10, 3] = 200

    kind, _, body = data_uri(pixels).partition(",")

    assert kind == "data:image/png;base64"
    assert base64.b64decode(body) == ink_png(pixels)


def test_a_hundred_tiles_weigh_less_than_a_hundred_kilobytes() -> None:
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 12:16] = np.random.default_rng(0).integers(0, 256, (20, 4), np.uint8)

    assert 100 * len(data_uri(digit)) < 100_000
