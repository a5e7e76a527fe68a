"""What is no digit, to learn doubt from: a network that has only seen digits finds one in everything.

"Outlier exposure" (Hendrycks, Mazeika and Dietterich 2019): the network is shown things that are no digit,
and is taught to find all ten equally likely. It then doubts what it was never shown too, such as letters.
Here the things are made of the training digits and of random strokes; no font's letter is among them.
"""

from __future__ import annotations

import cv2
import numpy as np

from server.datasets import Digits
from server.preprocessing import normalise
from server.strokes import draw

NO_DIGIT = 10
"""The label of what is no digit."""

# A 0, 1 or 8 stays itself in a mirror and upside down.
UNLIKE_THEIR_MIRRORS = (2, 3, 4, 5, 6, 7, 9)
# A 0 or 1 on its side may be somebody's 0 or 1, a slanted 9 on its side a 6.
UNLIKE_WHEN_TURNED = (2, 3, 4, 5, 7, 8)
# In pixels between two digits that were taken for one: below 0 they overlap.
GAPS_PX = (-3, 4)
# What is seen of a neighbour's ink.
NEIGHBOUR_SHARES = (0.35, 0.65)
HEIGHTS_PX = (40, 160)
PEN_SHARES = (0.04, 0.2)


def non_digits(digits: Digits, count: int, generator: np.random.Generator) -> np.ndarray:
    """Make `count` pictures of no digit, as normalisation gives them: (count, 28, 28) uint8.

    In turn: a digit turned or mirrored, two or three in one, one with a part of its neighbour, a scribble,
    and straight lines put together as letters are. A generator of the same seed gives the same pictures.
    """
    kinds = (_turned, _run_together, _with_a_part, _scribble, _lines)
    pictures = np.empty((count, 28, 28), np.uint8)
    for number in range(count):
        pictures[number] = kinds[number % len(kinds)](digits, generator)
    return pictures


def _turned(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """A digit mirrored, or turned by a quarter."""
    is_mirrored = bool(generator.random() < 0.25)
    while True:
        chosen = int(generator.integers(len(digits)))
        if digits.labels[chosen] in (UNLIKE_THEIR_MIRRORS if is_mirrored else UNLIKE_WHEN_TURNED):
            break
    image = digits.images[chosen]
    return image[:, ::-1] if is_mirrored else np.rot90(image, 1 if generator.random() < 0.5 else 3)


def _run_together(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """Two digits side by side, now and then three."""
    inks = [_ink(digits, generator) for _ in range(3 if generator.random() < 0.2 else 2)]
    return _side_by_side(inks, generator)


def _with_a_part(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """A digit and the nearer part of a neighbour on its left or right."""
    whole, neighbour = _ink(digits, generator), _ink(digits, generator)
    # A narrow one has no part that is not all of it.
    while neighbour.shape[1] < 8:
        neighbour = _ink(digits, generator)
    width = round(neighbour.shape[1] * float(generator.uniform(*NEIGHBOUR_SHARES)))
    if generator.random() < 0.5:
        return _side_by_side([whole, neighbour[:, :width]], generator)
    return _side_by_side([neighbour[:, -width:], whole], generator)


def _scribble(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """One to four wandering lines, smooth or with corners."""
    strokes = []
    for _ in range(int(generator.integers(1, 5))):
        corners = int(generator.integers(3, 12))
        steps = generator.normal(0, generator.uniform(0.3, 1.5), (corners, 2))
        path = np.cumsum(steps, axis=0) + generator.normal(0, 1.5, 2)
        strokes.append(_rounded(path) if generator.random() < 0.6 else path)
    return _drawn(strokes, generator)


def _lines(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """Three to five lines between the points of a lattice of 3 x 3, some of them bowed."""
    width = generator.uniform(0.5, 1.2)
    strokes = []
    for _ in range(int(generator.integers(3, 6))):
        start, end = generator.choice(9, 2, replace=False)
        a, b = (np.array(divmod(int(point), 3)) / 2 for point in (start, end))
        along = np.linspace(0, 1, 9)[:, None]
        bow = generator.uniform(-0.5, 0.5) if generator.random() < 0.3 else 0.0
        path = a + along * (b - a) + bow * np.sin(np.pi * along) * np.array([b[1] - a[1], a[0] - b[0]])
        strokes.append(path * [width, 1.0])
    return _drawn(strokes, generator)


def _ink(digits: Digits, generator: np.random.Generator) -> np.ndarray:
    """A digit without the free columns beside it: (28, W) uint8."""
    image = digits.images[int(generator.integers(len(digits)))]
    columns = np.flatnonzero(image.any(axis=0))
    return np.asarray(image[:, columns[0] : columns[-1] + 1])


def _side_by_side(inks: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    canvas = np.zeros((28, sum(ink.shape[1] + GAPS_PX[1] for ink in inks)), np.uint8)
    x = 0
    for ink in inks:
        place = canvas[:, x : x + ink.shape[1]]
        np.maximum(place, ink, out=place)
        x = max(0, x + ink.shape[1] + int(generator.integers(*GAPS_PX, endpoint=True)))
    return normalise(np.asarray(cv2.resize(canvas, None, fx=2, fy=2), np.uint8))


def _drawn(strokes: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    height_px = float(generator.uniform(*HEIGHTS_PX))
    pen_px = max(1, round(height_px * float(generator.uniform(*PEN_SHARES))))
    return normalise(draw([stroke.astype(np.float32) for stroke in strokes], height_px, pen_px))


def _rounded(path: np.ndarray) -> np.ndarray:
    """The path without its corners: the mean over the way from one to the next."""
    places = np.linspace(0, len(path) - 1, 8 * len(path))
    fine = np.stack([np.interp(places, np.arange(len(path)), path[:, axis]) for axis in (0, 1)], axis=1)
    return np.stack([np.convolve(fine[:, axis], np.full(8, 1 / 8), "valid") for axis in (0, 1)], axis=1)
