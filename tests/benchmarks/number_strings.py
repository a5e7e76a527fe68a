"""Numbers to read, made of single digits: apart, touching, and drawn with a pen. Seeded, light on dark.

They come at the size that people draw at: MNIST's 28 pixels are enlarged four times, so that a digit is about
80 pixels tall, and pen strokes are drawn 80 to 160 pixels tall.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from server import strokes
from server.datasets.pen_strokes import PenDigit

Image = npt.NDArray[np.uint8]
Number = tuple[Image, str]
"""A picture (H, W) uint8, 0 = background, and the digits in it."""

DIGITS = (2, 5)
SCALE = 4
# Of a pixel in MNIST's 28x28; fainter is the soft edge of a stroke, not the stroke.
INK = 128
# In pixels of MNIST's 28x28: around a number, between digits that stand apart, up and down.
MARGIN = 8
GAPS = (2, 8)
JITTER = 2
OVERLAPS = (1, 4)


def apart(images: Image, labels: npt.NDArray[np.uint8], count: int, seed: int) -> list[Number]:
    """Numbers of 2 to 5 digits with 2 to 8 px of free columns between them, at MNIST's scale.

    `images` (N, 28, 28) uint8, `labels` (N,) uint8: what to draw the digits from, at random.
    """
    return [
        _written(
            images[chosen], labels[chosen], -generator.integers(*GAPS, len(chosen), endpoint=True), generator
        )
        for chosen, generator in _choices(len(labels), count, seed)
    ]


def touching(images: Image, labels: npt.NDArray[np.uint8], count: int, seed: int) -> list[Number]:
    """Numbers of 2 to 5 digits, each pushed 1 to 4 px into the ink on its left, at MNIST's scale.

    Depth is measured where the strokes meet: in the row where they do first, so that all of them truly touch.
    """
    return [
        _written(
            images[chosen],
            labels[chosen],
            generator.integers(*OVERLAPS, len(chosen), endpoint=True),
            generator,
            by_row=True,
        )
        for chosen, generator in _choices(len(labels), count, seed)
    ]


def overlapping(images: Image, labels: npt.NDArray[np.uint8], count: int, seed: int) -> list[Number]:
    """Numbers of 2 to 5 digits whose columns overlap by 1 to 4 px at MNIST's scale: not all of them touch."""
    return [
        _written(
            images[chosen],
            labels[chosen],
            generator.integers(*OVERLAPS, len(chosen), endpoint=True),
            generator,
        )
        for chosen, generator in _choices(len(labels), count, seed)
    ]


def pen(digits: Sequence[PenDigit], count: int, seed: int) -> list[Number]:
    """Numbers of 2 to 5 digits that one person wrote with a pen, side by side.

    80 to 160 px tall, the digits of a number within a tenth of that; the pen is 5 to 20 % of it; 5 to 40 % of
    it, and at least 4 px, are free between the digits' columns; they dance by 5 % of it up and down.
    """
    by_writer: dict[int, list[PenDigit]] = defaultdict(list)
    for digit in digits:
        by_writer[digit.writer].append(digit)
    writers = sorted(by_writer)
    generator = np.random.default_rng(seed)
    numbers = []
    for _ in range(count):
        own = by_writer[writers[generator.integers(len(writers))]]
        chosen = [own[index] for index in generator.integers(len(own), size=_length(generator))]
        numbers.append((_drawn(chosen, generator), "".join(str(digit.label) for digit in chosen)))
    return numbers


def _drawn(digits: Sequence[PenDigit], generator: np.random.Generator) -> Image:
    """Digits drawn side by side with one pen."""
    height = int(generator.integers(80, 160, endpoint=True))
    pen_px = round(height * generator.uniform(0.05, 0.2))
    heights = (height * generator.uniform(0.9, 1.1, len(digits))).tolist()
    inks = [strokes.draw(digit.strokes, tall, pen_px) for digit, tall in zip(digits, heights, strict=True)]
    tallest = max(ink.shape[0] for ink in inks)
    margin = tallest // 3
    width = sum(ink.shape[1] + height for ink in inks) + 2 * margin
    canvas = np.zeros((tallest + 2 * margin, width), np.uint8)
    x = margin
    for ink in inks:
        rows, columns = ink.shape
        y = margin + (tallest - rows) // 2 + round(height * generator.uniform(-0.05, 0.05))
        canvas[y : y + rows, x : x + columns] = ink
        x += columns + max(4, round(height * generator.uniform(0.05, 0.4)))
    end = int(np.flatnonzero(canvas.any(axis=0))[-1]) + 1 + margin
    return np.ascontiguousarray(canvas[:, :end])


def _choices(
    digits: int, count: int, seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], np.random.Generator]]:
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield generator.integers(digits, size=_length(generator)), generator


def _length(generator: np.random.Generator) -> int:
    return int(generator.integers(*DIGITS, endpoint=True))


def _written(
    images: Image,
    labels: npt.NDArray[np.uint8],
    overlaps: npt.NDArray[np.int64],
    generator: np.random.Generator,
    by_row: bool = False,
) -> Number:
    """Digits side by side, enlarged; `overlaps` (N,): how far each one goes into what is on its left, in px.

    `by_row`: measured in the deepest row; otherwise between the columns of the two. No deeper than half of
    the narrower of two neighbours: a thin 1 would come out on the other side.
    """
    before = 28
    canvas = np.zeros((28 + 2 * (MARGIN + JITTER), 28 * len(images) + 2 * MARGIN + 64), np.uint8)
    for index, (image, overlap) in enumerate(zip(images, overlaps, strict=True)):
        y = MARGIN + JITTER + int(generator.integers(-JITTER, JITTER, endpoint=True))
        columns = np.flatnonzero(image.any(axis=0))
        digit = image[:, columns[0] : columns[-1] + 1]
        width = int(np.count_nonzero((digit >= INK).any(axis=0)))
        depth = min(int(overlap), max(1, min(before, width) // 2))
        x = MARGIN if index == 0 else _right_of(canvas, digit, y, by_row) - depth
        before = width
        seen = canvas[y : y + 28, max(x, 0) : x + digit.shape[1]]
        np.maximum(seen, digit[:, max(-x, 0) :], out=seen)
    end = int(np.flatnonzero(canvas.any(axis=0))[-1]) + 1 + MARGIN
    large = cv2.resize(canvas[:, :end], None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    return large, "".join(str(label) for label in labels)


def _right_of(canvas: Image, digit: Image, y: int, by_row: bool) -> int:
    """The x where `digit` (28, W) just misses what is on the canvas: in every row, or with every column."""
    before, after = canvas[y : y + 28] >= INK, digit >= INK
    shared = before.any(axis=1) & after.any(axis=1)
    if not by_row or not shared.any():
        before, after, shared = (
            (canvas >= INK).any(axis=0, keepdims=True),
            after.any(axis=0, keepdims=True),
            [True],
        )
    ends = before.shape[1] - before[:, ::-1].argmax(axis=1)  # One beyond the last ink of each row.
    return int((ends - after.argmax(axis=1))[shared].max())
