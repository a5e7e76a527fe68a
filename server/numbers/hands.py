"""Who writes the numbers that the search learns from: single digits of MNIST, and of people with a pen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from server.datasets import Digits
from server.datasets.pen_strokes import PenDigit
from server.strokes import draw

Ink = NDArray[np.uint8]
Generator = np.random.Generator
Hand = Callable[[float, float], tuple[Ink, int]]
"""Writes any digit, so many pixels tall, with a pen of so many pixels: its ink, cropped, and its label."""
Writer = Callable[[Generator], Hand]
"""Chooses a hand for one number."""


def mnist_writer(digits: Digits) -> Writer:
    """Writes with MNIST's digits, any beside any other; they keep their own pen."""

    def take_up(generator: Generator) -> Hand:
        def write(height: float, pen: float) -> tuple[Ink, int]:
            index = int(generator.integers(len(digits)))
            left, top, width, tall = cv2.boundingRect(digits.images[index])
            crop = digits.images[index, top : top + tall, left : left + width]
            scale = height / 20  # the longer side of MNIST's digits
            if abs(scale - 1) > 0.1:
                resized = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
                crop = np.asarray(resized, np.uint8)
            return crop.copy(), int(digits.labels[index])

        return write

    return take_up


def pen_writer(digits: Sequence[PenDigit]) -> Writer:
    """Writes with pen strokes, each number in one person's hand."""
    people: dict[int, list[PenDigit]] = defaultdict(list)
    for digit in digits:
        people[digit.writer].append(digit)
    everybody = sorted(people)

    def take_up(generator: Generator) -> Hand:
        own = people[everybody[int(generator.integers(len(everybody)))]]

        def write(height: float, pen: float) -> tuple[Ink, int]:
            digit = own[int(generator.integers(len(own)))]
            pen_px = max(round(pen), 1)
            return draw(digit.strokes, max(height - pen_px, 4), pen_px), digit.label

        return write

    return take_up
