"""What the stretches of a number are, where its digits are known: examples to learn from."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from server.numbers.candidates import Candidates, find_candidates
from server.numbers.cuts import Cuts, find_cuts
from server.numbers.judge import MARK, NEITHER
from server.numbers.lines import find_lines
from server.numbers.pieces import find_pieces
from server.numbers.search import LineInk, line_ink
from server.numbers.windows import SIDE, windows
from server.numbers.written import Number

# Shared ink of a stretch and a digit, of the ink of both. A stretch is that digit from here on, when no other
# stretch is so much better; it is no digit when it is this much worse than the best, or below the least.
WHOLE, NEARLY_BEST = 0.66, 0.05
WORSE, NOT_WHOLE = 0.14, 0.6
# Of a digit's ink: a stretch with so much of two digits, a thin 1 beside an 8, is neither of them.
SECOND = 0.5
# Of a digit's ink: a stretch with less than this is no piece of a digit, it holds marks or nothing.
SLIVER = 0.06
UNSURE = -1


class Examples(NamedTuple):
    """N stretches."""

    windows: NDArray[np.uint8]
    """(N, 32, 32, 2) uint8."""
    labels: NDArray[np.int8]
    """(N,) int8: 0 to 9, MARK or NEITHER."""


def examples(number: Number) -> Examples:
    """The stretches of a number that are clearly one thing or the other."""
    pieces = find_pieces(number.ink)
    lines = find_lines(pieces)
    if not lines:  # A stroke so flat that it reads as a dash.
        return Examples(np.empty((0, SIDE, SIDE, 2), np.uint8), np.empty(0, np.int8))
    line = line_ink(number.ink, pieces, max(lines, key=len))
    cuts = find_cuts(line.ink, line.height)
    candidates = find_candidates(line.ink, line.height, cuts)
    labels = _labels(number, line, cuts, candidates)
    seen = windows(line.ink, line.height, line.middle, cuts, candidates)
    return Examples(seen[labels != UNSURE], labels[labels != UNSURE])


def _labels(number: Number, line: LineInk, cuts: Cuts, candidates: Candidates) -> NDArray[np.int8]:
    left = np.array([_left_of(_in_line(layer, line), cuts) for layer in number.digits])  # (n, C)
    everything = _left_of(line.ink, cuts)
    shared = left[:, candidates.ends] - left[:, candidates.starts]  # (n, N)
    own = everything[candidates.ends] - everything[candidates.starts]
    whole = left[:, -1:]
    overlap = shared / np.maximum(whole + own - shared, 1e-6)
    best = overlap.max(axis=1, keepdims=True, initial=0)
    digits = np.array([int(digit) for digit in number.text], np.int8)
    is_digit = (overlap >= WHOLE) & (overlap >= best - NEARLY_BEST)
    answers = np.full(len(own), UNSURE, np.int8)
    answers[is_digit.any(axis=0)] = digits[overlap.argmax(axis=0)][is_digit.any(axis=0)]
    answers[((overlap < NOT_WHOLE) | (overlap < best - WORSE)).all(axis=0)] = NEITHER
    answers[(shared >= SECOND * whole).sum(axis=0) > 1] = NEITHER
    answers[shared.sum(axis=0) < SLIVER * whole.mean()] = MARK
    return answers


def _in_line(layer: NDArray[np.uint8], line: LineInk) -> NDArray[Any]:
    height, width = line.ink.shape
    tall, wide = round(height * line.scale), round(width * line.scale)
    crop: NDArray[Any] = layer[line.top : line.top + tall, line.left : line.left + wide]
    if crop.shape != line.ink.shape:
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
    seen: NDArray[Any] = np.minimum(crop, line.ink)
    return seen


def _left_of(layer: NDArray[Any], cuts: Cuts) -> NDArray[np.float64]:
    """(C,): the ink of a layer on the left of each cut."""
    before = np.concatenate((np.zeros((len(layer), 1)), layer.cumsum(axis=1, dtype=np.float64)), axis=1)
    return np.asarray(before[np.arange(len(layer)), cuts.columns].sum(axis=1))
