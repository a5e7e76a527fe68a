"""What the cuts and the scan of a line say together: its digits, and where they are.

Cuts are right where digits stand apart or just touch, and tell where each digit is. The scan is right where
digits run into each other, and tells only which there are. Where the two differ, the likeliest texts of the
scan and that of the cuts are weighed by both, and the best one is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.numbers.choose import choose, stretch_scores
from server.numbers.ctc import alternatives, likeliest, log_likelihoods, mean
from server.numbers.division import divide
from server.numbers.search import Line

# How many of the scan's texts are weighed; on long lines fewer: about so many digits together.
TEXTS, TOGETHER = 10, 200
# In nats, chosen on validation digits. How much the stretches count beside the scan. What each digit of a
# text is worth: among tangled digits both mostly find too few.
STRETCHES_WEIGHT = 0.1
DIGIT_WORTH = 1.0
# By how much another text has to be the likelier than that of the cuts: much where the digits stand apart, so
# that nothing was cut; little where not.
APART, TANGLED = 5.0, 0.5
# Of the digits' height: what is free between the boxes of digits that stand apart.
FREE = 0.02


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
    most = int(np.clip(TOGETHER // max(len(divided), 1), 1, TEXTS))
    scanned = likeliest(mean(line.scans), most)
    if scanned[0] not in ("", divided):
        scores = stretch_scores(line, probabilities)
        texts = [divided, *(text for text in scanned if text != divided)]
        divisions = divide(line, scores, texts)
        # Where the cuts find only marks, there may be no digit to find.
        worth = DIGIT_WORTH if chosen else 0.0
        lengths = np.array([len(text) for text in texts])
        weights = log_likelihoods(line.scans, texts) + worth * lengths
        weights += STRETCHES_WEIGHT * np.array([division.score for division in divisions])
        is_apart = not chosen or _stand_apart(line.boxes[line.readable[chosen]])
        weights[1:] -= APART if is_apart else TANGLED
        best = int(weights.argmax())
        if best:
            total = alternatives(line.scans, texts[best]) + STRETCHES_WEIGHT * scores[divisions[best].places]
            total -= np.logaddexp.reduce(total, axis=1, keepdims=True)
            weighed = np.exp(total).astype(np.float32)
            return [Digit(place, row) for place, row in zip(divisions[best].places, weighed, strict=True)]
    return [Digit(place, probabilities[place]) for place in chosen]


def _stand_apart(boxes: NDArray[np.int32]) -> bool:
    """Whether there is free paper between the digits in these boxes, (n, 4): x, y, width, height.

    A single one may be several that ran into each other.
    """
    gaps = boxes[1:, 0] - (boxes[:-1, 0] + boxes[:-1, 2])
    return len(gaps) > 0 and bool(gaps.min() > FREE * np.median(boxes[:, 3]))
