"""What two versions read differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digits.client.choices import ComparisonOutcome, Dataset
from digits.client.records.dataset import Pixels


@dataclass(frozen=True)
class Reading:
    """What one version reads in a digit; `probabilities` are of the digits 0 to 9."""

    predicted_digit: int
    confidence: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ComparedDigit:
    """A digit that at least one of two versions misreads."""

    index: int
    pixels: Pixels
    true_digit: int
    base: Reading
    candidate: Reading
    outcome: ComparisonOutcome
    is_marked_mislabelled: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two versions on the same images. The counts are those of the whole data set, whatever the filters.

    `p_value` is McNemar's exact one; `confusion_difference` is (10, 10) int64, the candidate's confusion
    matrix less the base's: true digit (row) x predicted digit (column). `digits` is a page of those that pass
    the filters, `total_size` counts all of them.
    """

    base_version: int
    candidate_version: int
    dataset: Dataset
    images: int
    both_right: int
    fixed: int
    broken: int
    both_wrong: int
    p_value: float
    confusion_difference: npt.NDArray[np.int64]
    digits: tuple[ComparedDigit, ...]
    next_page_token: str
    total_size: int
