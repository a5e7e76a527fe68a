"""Two versions on the same digits: what the one reads rightly and the other does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from server.evaluation.answers import Answers
from server.evaluation.marks import Marked
from server.evaluation.mcnemar import exact_p_value
from server.metrics import confusion_matrix


class Outcome(StrEnum):
    """How two versions read a digit that at least one of them misreads."""

    FIXED = "fixed"
    """Only the candidate reads it rightly."""
    BROKEN = "broken"
    """Only the base reads it rightly."""
    BOTH_WRONG = "both_wrong"


@dataclass(frozen=True)
class ComparisonFilter:
    """Which digits of a comparison. None means any."""

    outcome: Outcome | None = None
    true_digit: int | None = None


class Reading(NamedTuple):
    """What one version reads in a digit."""

    predicted_digit: int
    confidence: float
    """Probability of `predicted_digit`, in [0, 1]."""
    probabilities: npt.NDArray[np.float32]
    """(10,) float32, by digit."""


@dataclass(frozen=True, eq=False)
class ComparedDigit:
    """A digit that at least one of two versions misreads."""

    index: int
    """Its place in the data set."""
    image: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    true_digit: int
    base: Reading
    candidate: Reading
    outcome: Outcome
    is_marked_mislabelled: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two versions on all digits of a data set, and a page of the digits that either misreads."""

    images: int
    counts: Mapping[Outcome, int]
    """Of all digits, whatever the filter; those that both read rightly are the rest of `images`."""
    p_value: float
    """McNemar's exact p-value, in [0, 1]."""
    confusion_difference: npt.NDArray[np.int64]
    """(10, 10) int64, the candidate's confusion matrix less the base's: true digits by predicted ones."""
    digits: tuple[ComparedDigit, ...]
    """In the order of the data set."""
    total: int
    """How many digits pass the filter."""


def compare(
    base: Answers, candidate: Answers, chosen: ComparisonFilter, offset: int, limit: int, marked: Marked
) -> Comparison:
    """The answers of two versions to the same digits, side by side."""
    labels = np.asarray(base.digits.labels)
    base_read, candidate_read = base.probabilities.argmax(axis=1), candidate.probabilities.argmax(axis=1)
    base_right, candidate_right = base_read == labels, candidate_read == labels  # (N,) each
    masks = {
        Outcome.FIXED: ~base_right & candidate_right,
        Outcome.BROKEN: base_right & ~candidate_right,
        Outcome.BOTH_WRONG: ~base_right & ~candidate_right,
    }
    counts = {outcome: int(mask.sum()) for outcome, mask in masks.items()}
    passing = ~(base_right & candidate_right) if chosen.outcome is None else masks[chosen.outcome]
    if chosen.true_digit is not None:
        passing &= labels == chosen.true_digit
    indices = np.flatnonzero(passing)
    digits = [
        ComparedDigit(
            index=index,
            image=np.array(base.digits.images[index]),
            true_digit=int(labels[index]),
            base=_reading(base, index),
            candidate=_reading(candidate, index),
            outcome=next(outcome for outcome, mask in masks.items() if mask[index]),
            is_marked_mislabelled=index in marked,
        )
        for index in indices[offset : offset + limit].tolist()
    ]
    return Comparison(
        images=len(labels),
        counts=counts,
        p_value=exact_p_value(counts[Outcome.FIXED], counts[Outcome.BROKEN]),
        confusion_difference=confusion_matrix(labels, candidate_read) - confusion_matrix(labels, base_read),
        digits=tuple(digits),
        total=len(indices),
    )


def _reading(answers: Answers, index: int) -> Reading:
    probabilities = answers.probabilities[index]
    digit = int(probabilities.argmax())
    return Reading(digit, float(probabilities[digit]), probabilities)
