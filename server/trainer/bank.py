"""Pictures of pen strokes to train on: each digit drawn many times, as other hands, pens and canvases would.

The pictures go through the server's own normalisation, so that the network learns from what it will be shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from server.datasets import Digits
from server.datasets.pen_strokes import PenDigit
from server.preprocessing import normalise
from server.strokes import draw

ROTATION_DEG = 12.0
SLANT = 0.35
# Height and width vary apart from each other by this factor at most.
STRETCH = 1.35
# The waves that bend a digit: how far, as a share of its longer side.
WOBBLE = 0.03
# Shares of the drawings.
RESTYLED = 0.2
COARSE = 0.25
SPARSE = 0.2
# Of the height: a ballpoint, a felt pen, a finger.
PEN_SHARES = (0.025, 0.24)
HEIGHTS_PX = (40, 160)
# Web pages' canvases of a few dozen pixels, with pens of a pixel or two and hard edges.
COARSE_HEIGHTS_PX = (14, 56)


def pen_bank(digits: Sequence[PenDigit], copies: int, generator: np.random.Generator) -> Digits:
    """Draw each digit `copies` times, each time in another way: `copies` × len(digits) normalised pictures.

    A generator of the same seed gives the same pictures.
    """
    images = [picture(digit, generator) for _ in range(copies) for digit in digits]
    labels = np.tile(np.array([digit.label for digit in digits], np.uint8), copies)
    return Digits(np.array(images, np.uint8).reshape(-1, 28, 28), labels)


def picture(digit: PenDigit, generator: np.random.Generator) -> np.ndarray:
    """The digit as another hand might have drawn it, normalised: (28, 28) uint8."""
    strokes = list(digit.strokes)
    if generator.random() < RESTYLED:
        strokes = restyled(digit.label, strokes, generator)
    if generator.random() < SPARSE:
        strokes = [_sparse(stroke, generator) for stroke in strokes]
    strokes = _in_another_hand(strokes, generator)
    if is_coarse := bool(generator.random() < COARSE):
        height_px = float(generator.uniform(*COARSE_HEIGHTS_PX))
        # From a single pixel to a sixth of the height.
        pen_px = int(generator.integers(1, max(2, round(height_px / 6)), endpoint=True))
    else:
        height_px = float(generator.uniform(*HEIGHTS_PX))
        low, high = np.log(PEN_SHARES)
        pen_px = max(1, round(height_px * float(np.exp(generator.uniform(low, high)))))
    is_smooth = not is_coarse or bool(generator.random() < 0.3)
    return normalise(draw(strokes, height_px, pen_px, is_smooth))


def restyled(label: int, strokes: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    """The strokes of the digit written another way, or as they are where there is none.

    A slash through a 0, a foot or a serif for a 1, a 4 closed at its top, a bar for a 7 without, or none for
    a 7 with one.
    """
    points = np.concatenate(strokes)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    width, height = right - left, bottom - top
    if label == 0:
        reach = generator.uniform(-0.1, 0.3, 2)
        ends = [(left - reach[0] * width, bottom - 0.1 + reach[0] * height * 0.4)]
        ends.append((right + reach[1] * width, top + 0.1 - reach[1] * height * 0.4))
        return [*strokes, _stroke(ends)]
    if label == 1:
        return _with_serif_or_foot(strokes, generator)
    if label == 4 and len(strokes) == 2:
        stem = max(strokes, key=_tallness)
        (arm,) = (stroke for stroke in strokes if stroke is not stem)
        # Down from the top of the stem to the corner, and on as it was.
        corner = int(arm[:, 0].argmin())
        summit = stem[stem[:, 1].argmin()]
        return [np.concatenate([summit[None], arm[corner:]]), stem]
    if label == 7 and len(strokes) == 1:
        y = top + generator.uniform(0.42, 0.62) * height
        stem_x = points[np.abs(points[:, 1] - y).argmin(), 0]
        reach = generator.uniform(0.15, 0.4, 2) * height
        tilt = generator.uniform(-0.05, 0.05)
        return [*strokes, _stroke([(stem_x - reach[0], y + tilt), (stem_x + reach[1], y - tilt)])]
    if label == 7 and len(strokes) == 2:
        return [max(strokes, key=_tallness)]
    return strokes


def _with_serif_or_foot(strokes: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    points = np.concatenate(strokes)
    head, heel = points[points[:, 1].argmin()], points[points[:, 1].argmax()]
    kind = generator.integers(3)
    added = []
    if kind != 0:
        length, angle = generator.uniform(0.15, 0.45), np.deg2rad(generator.uniform(25, 65))
        added.append(_stroke([head, head + length * np.array([-np.sin(angle), np.cos(angle)])]))
    if kind != 1:
        reach, tilt = generator.uniform(0.1, 0.4, 2), generator.uniform(-0.03, 0.03)
        ends = np.array([[-reach[0], tilt], [reach[1], -tilt]])
        added.append(_stroke(heel + ends))
    return [*strokes, *added]


def _in_another_hand(strokes: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    """Turned, slanted, stretched, and bent by two slow waves."""
    angle = np.deg2rad(generator.uniform(-ROTATION_DEG, ROTATION_DEG))
    slant = generator.uniform(-SLANT, SLANT)
    stretch = np.exp(generator.uniform(-np.log(STRETCH), np.log(STRETCH)) / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[stretch, slant / stretch], [0.0, 1 / stretch]])
    waves = generator.uniform(2.0, 8.0, (2, 2)) * generator.choice((-1, 1), (2, 2))
    phases = generator.uniform(0, 2 * np.pi, 2)
    depths = generator.normal(0, WOBBLE, 2)
    return [
        ((stroke + depths * np.sin(stroke @ waves + phases)) @ matrix.T).astype(np.float32)
        for stroke in strokes
    ]


def _sparse(stroke: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The stroke as a slow page catches it: every second to fifth point, straight lines between them."""
    step = int(generator.integers(2, 6))
    kept = stroke[::step]
    return kept if len(stroke) % step == 1 else np.concatenate([kept, stroke[-1:]])


def _stroke(points: Sequence[object] | np.ndarray) -> np.ndarray:
    return np.asarray(points, np.float32)


def _tallness(stroke: np.ndarray) -> float:
    return float(np.ptp(stroke[:, 1]) - np.ptp(stroke[:, 0]))
