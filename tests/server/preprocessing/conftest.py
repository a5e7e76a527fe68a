"""Digits to draw with, and canvases to draw them on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from server.datasets.builtin import read_builtin
from server.datasets.mnist import read_mnist

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def digits() -> Picture:
    """Digits as MNIST has them, (N, 28, 28) uint8: its test set with DIGITS_MNIST, else the built-in ones."""
    mnist = os.environ.get("DIGITS_MNIST")
    return read_mnist(Path(mnist)).test.images[:2000] if mnist else read_builtin().images[:2000]


@pytest.fixture(scope="session")
def draw(digits: Picture) -> Callable[..., Picture]:
    """`draw(index, height, left, top, pen, size)`: a digit on a dark canvas, strokes `pen` pixels fatter."""

    def on_canvas(
        index: int = 0, height: int = 120, left: int = 40, top: int = 60, pen: int = 0, size: int = 280
    ) -> Picture:
        x, y, width, tall = cv2.boundingRect(digits[index])
        crop = digits[index][y : y + tall, x : x + width]
        wide = max(round(width * height / tall), 1)
        large = cv2.resize(crop, (wide, height), interpolation=cv2.INTER_CUBIC)
        # Sharpened to strokes with a soft edge of a pixel or two, as a canvas draws them.
        large = np.clip((large.astype(np.float32) - 96) * 4, 0, 255).astype(np.uint8)
        room = pen + 1
        strokes = cv2.dilate(
            cv2.copyMakeBorder(large, room, room, room, room, cv2.BORDER_CONSTANT, value=0),
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen + 1, pen + 1)),
        )
        canvas = np.zeros((size, size), np.uint8)
        part = strokes[: size - top, : size - left]
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        return canvas

    return on_canvas


@pytest.fixture(scope="session")
def png() -> Callable[[NDArray[np.generic]], bytes]:
    """`png(pixels)`: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA, uint8 or uint16, as PNG."""

    def encode(pixels: NDArray[np.generic]) -> bytes:
        return cv2.imencode(".png", pixels)[1].tobytes()  # type: ignore[call-overload, no-any-return]

    return encode
