"""Which stretches of a line are its digits: the best way to divide the whole line, by dynamic programming.

(As in the segmentation graphs of Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied
to Document Recognition, 1998.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.numbers.judge import MARK
from server.numbers.search import Line

# How much of the judge's trust goes to the stretch being some digit, whichever the model reads.
ANY_DIGIT = 0.1
# How much the model's confidence counts beside the judge's.
MODEL_WEIGHT = 0.5
# Log-probability of a sliver of ink that is too small to be anything.
SLIVER = -0.01
# Ink that two neighbours may share, over the digits' height squared and over the digit's own; what it costs.
SHARED, SHARED_PART, SHARING = 0.15, 0.4, 20.0
# The judge doubts each stretch on its own, so that many digits look less likely than few: each is worth this.
DIGIT_WORTH = 0.5
LEAST = 1e-7


def choose(line: Line, probabilities: NDArray[np.float32]) -> list[int]:
    """The places in `line.readable` of the stretches that are digits, from left to right.

    A line is divided from its first to its last cut, each stretch a digit or passed over as a mark, so that
    the sum of their log-probabilities is the greatest. Digits may share a stroke with the one before: they
    then begin at a cut before its end. `probabilities` (M, 10) float32: the model's answers for
    `line.images`.
    """
    as_mark = np.log(np.maximum(line.judgement[:, MARK], LEAST))
    as_digit = np.full(len(as_mark), -np.inf)
    as_digit[line.readable] = _as_digit(line, probabilities)
    is_digit = (as_digit >= as_mark).tolist()
    scores = np.maximum(as_digit, as_mark).tolist()
    before = line.ink_before.tolist()
    starts, ends = line.candidates.starts.tolist(), line.candidates.ends.tolist()
    best = [0.0] + [-np.inf] * (line.cuts - 1)
    came = [(0, -1)] * line.cuts  # the cut before, and the candidate that is reached through it
    into: list[list[int]] = [[] for _ in range(line.cuts)]
    for index, end in enumerate(ends):
        into[end].append(index)
    has_ink = set(zip(starts, ends, strict=True))
    for end in range(1, line.cuts):
        if (end - 1, end) not in has_ink:
            best[end], came[end] = best[end - 1] + SLIVER, (end - 1, -1)
        for index in into[end]:
            start = starts[index]
            most = min(SHARED, SHARED_PART * (before[end] - before[start])) if is_digit[index] else 0.0
            for cut in range(start, end):
                shared = before[cut] - before[start]
                if cut > start and shared > most:
                    break
                score = best[cut] + scores[index] - SHARING * shared
                if score > best[end]:
                    best[end], came[end] = score, (cut, index)
    places = {candidate: place for place, candidate in enumerate(line.readable.tolist())}
    chosen = []
    cut = line.cuts - 1
    while cut > 0:
        cut, index = came[cut]
        if index >= 0 and is_digit[index]:
            chosen.append(places[index])
    return chosen[::-1]


def stretch_scores(line: Line, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M, 10): log-probabilities of the stretches that were read being each of the digits."""
    own = line.judgement[line.readable, :MARK].astype(np.float64)
    agreed = (1 - ANY_DIGIT) * own + ANY_DIGIT * own.sum(axis=1, keepdims=True)
    scores: NDArray[np.float64] = np.log(np.maximum(agreed, LEAST))
    scores += DIGIT_WORTH + MODEL_WEIGHT * np.log(np.maximum(probabilities, LEAST))
    return scores


def _as_digit(line: Line, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,): log-probabilities of stretches being the digits that the model reads in them."""
    read = probabilities.argmax(axis=1)
    scores: NDArray[np.float64] = stretch_scores(line, probabilities)[np.arange(len(read)), read]
    return scores
