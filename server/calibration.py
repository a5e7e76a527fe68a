"""What a probability is worth, and when to doubt it. NumPy only.

A network that has learnt its training digits by heart is surer than it is right. One number, the temperature
that its logits are divided by, mends most of that and changes no answer; what remains is told as the expected
calibration error (both: Guo et al. 2017, "On Calibration of Modern Neural Networks").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CLASSES = 10

NEUTRAL_TEMPERATURE = 1.0
"""Leaves probabilities as they are: for versions without validation digits to fit it on."""
NEUTRAL_UNCERTAIN_BELOW = 0.5
"""For the same versions: by its own account, such a reading is more likely wrong than right."""

# Networks that read digits come out between 0.8 and 2. Without a single mistake there is no best temperature,
# and the lower limit holds.
TEMPERATURES = (0.25, 8.0)
# Single precision keeps no probability below it.
TINY = 1e-38

KEPT = 0.99
"""The share of true digits that must not be called uncertain."""
ASSURANCE = 0.95
"""How likely the threshold keeps that share of digits that nobody has seen yet."""

BINS = 15


class Calibration(NamedTuple):
    """What a version's probabilities were divided by, as logits, and below which of them to doubt."""

    temperature: float = NEUTRAL_TEMPERATURE
    uncertain_below: float = NEUTRAL_UNCERTAIN_BELOW


def calibrate(
    kinds: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]],
) -> Calibration:
    """Fit both on validation digits of one kind or more, such as MNIST's and pen strokes.

    Of each kind: probabilities (N, 10) float32 of the raw network and labels (N,) uint8, N ≥ 1. The threshold
    is the lowest that any kind asks for: the doubts about one are not to be spent on another, harder one.
    Raises ValueError for anything else.
    """
    if not kinds:
        raise ValueError("expected validation digits of at least one kind, got none")
    for probabilities, labels in kinds:
        check_answers(probabilities, labels)
    together, truth = (np.concatenate(parts) for parts in zip(*kinds, strict=True))
    temperature = fit_temperature(together, truth)
    thresholds = (fit_uncertain_below(temper(probabilities, temperature)) for probabilities, _ in kinds)
    return Calibration(temperature, min(thresholds))


def fit_temperature(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> float:
    """The temperature that makes the labels most likely, within TEMPERATURES.

    `probabilities` (N, 10) float32 and `labels` (N,) uint8 of validation digits, N ≥ 1. Raises ValueError for
    anything else.
    """
    check_answers(probabilities, labels)
    logits = _logits(probabilities)
    true_logits = logits[np.arange(len(labels)), labels]
    # The loss is convex in the inverse of the temperature: its slope crosses zero once, if at all.
    low, high = (1 / temperature for temperature in reversed(TEMPERATURES))
    for _ in range(60):
        middle = (low + high) / 2
        expected = (_softmax(logits * middle) * logits).sum(axis=1)
        if (expected - true_logits).mean() > 0:
            high = middle
        else:
            low = middle
    return 2 / (low + high)


def temper(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """What the probabilities (N, 10) become once the network's logits are divided by `temperature`."""
    return _softmax(_logits(probabilities) / temperature).astype(np.float32)


def fit_uncertain_below(probabilities: npt.NDArray[np.float32]) -> float:
    """The confidence below which to doubt: of digits like these, at least 99 % reach it.

    `probabilities` (N, 10) float32 of validation digits, N ≥ 1, as they serve. They are a sample: a threshold
    that flags just 1 % of them would flag more of the next ones every second time. So it is taken a little
    lower, by their order (Wilks 1941): 99 % of unseen digits reach it with a probability of 95 %. Of 5,000
    validation digits it flags 0.8 %; where they are too few to promise anything, under 299, none. Raises
    ValueError for anything else.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES or not len(probabilities):
        raise ValueError(f"expected (N, 10) probabilities, N ≥ 1, got {probabilities.shape}")
    confidences = np.sort(probabilities.max(axis=1))
    return float(confidences[max(1, _order(len(confidences))) - 1])


def expected_calibration_error(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]
) -> float:
    """How far confidence is from accuracy, in [0, 1]: in 15 equally wide bins, weighted by their images.

    `probabilities` (N, 10) float, `labels` (N,) of 0-9, N ≥ 1. Raises ValueError for anything else.
    """
    check_answers(probabilities, labels)
    confidences = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    # A bin holds its upper end, as in the paper: a confidence of 1 belongs to the last one.
    bins = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=confidences - is_right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _order(count: int) -> int:
    """The largest k so that the k-th smallest of `count` values is a safe threshold; 0 when none is.

    The share of unseen values below the k-th smallest is at most 1 - KEPT with the probability that at least
    k of `count` values fall into a share of that size: a binomial distribution's upper tail.
    """
    share, k = 1 - KEPT, 0
    logarithm, fewer_than_k = count * math.log1p(-share), 0.0
    while True:
        # `logarithm`: of the probability that exactly k fall into it.
        fewer_than_k += math.exp(logarithm)
        if 1 - fewer_than_k < ASSURANCE:
            return k
        logarithm += math.log((count - k) / (k + 1)) + math.log(share / (1 - share))
        k += 1


def _logits(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Logits that have these probabilities: all that do differ by a constant, which no softmax sees."""
    return np.log(np.maximum(probabilities.astype(np.float64), TINY))


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def check_answers(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> None:
    """Raise ValueError unless there are (N, 10) probabilities and (N,) labels, N ≥ 1."""
    if labels.ndim != 1 or not len(labels) or probabilities.shape != (len(labels), CLASSES):
        raise ValueError(
            f"expected (N, 10) probabilities and (N,) labels, N ≥ 1, "
            f"got {probabilities.shape} and {labels.shape}"
        )
