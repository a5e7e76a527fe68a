"""What the cuts and the scan of a line say together: its digits, and where they are.

Cuts are right where digits stand apart or just touch, and tell where each digit is. The scan is right where
digits run into each other, and tells only which there are. Where the two differ the likelier text is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.numbers.choose import choose, stretch_scores
from server.numbers.ctc import likeliest, log_likelihood
from server.numbers.division import Division, divide
from server.numbers.search import Line

# How much the stretches count beside the scan; by how much the scan's text has to be the likelier (nats):
# little where it finds more digits or fewer, which is what the cuts get wrong; more where both find as many,
# since the model reads those well. Chosen on validation digits.
STRETCHES_WEIGHT = 0.2
OTHER_COUNT, OTHER_DIGITS = 0.5, 2.0


class Digit(NamedTuple):
    """A digit of a line."""

    place: int
    """In `line.readable`: the stretch it is in."""
    probabilities: NDArray[np.float32]
    """(10,) float32: the model's answer; where the scan overruled it, weighed with what the scan says."""


def agree(line: Line, probabilities: NDArray[np.float32]) -> list[Digit]:
    """The digits of a line, from left to right. `probabilities` (M, 10): the model's for `line.images`."""
    chosen = choose(line, probabilities)
    divided = "".join(str(digit) for digit in probabilities[chosen].argmax(axis=1).tolist())
    scanned, digits = likeliest(line.scan)
    if scanned and scanned != divided:
        scores = stretch_scores(line, probabilities)
        division = divide(line, scores, scanned)
        own = _together(line, division, scanned)
        other = _together(line, divide(line, scores, divided), divided)
        if own > other + (OTHER_DIGITS if len(scanned) == len(divided) else OTHER_COUNT):
            total = digits + STRETCHES_WEIGHT * scores[division.places]
            total -= np.logaddexp.reduce(total, axis=1, keepdims=True)
            weighed = np.exp(total).astype(np.float32)
            return [Digit(place, row) for place, row in zip(division.places, weighed, strict=True)]
    return [Digit(place, probabilities[place]) for place in chosen]


def _together(line: Line, division: Division, text: str) -> float:
    return log_likelihood(line.scan, text) + STRETCHES_WEIGHT * division.score
