"""How versions do, and the digits they misread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from digits.client.choices import Dataset, EvaluationState
from digits.client.records.dataset import Pixels


@dataclass(frozen=True)
class ClassMetrics:
    """How well one digit is read; `support` is its number of images."""

    digit: int
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a version does on a data set. All figures are 0 until it has succeeded.

    `accuracy_low` and `accuracy_high` bound the 95 % interval; `loss` is the mean cross-entropy in nats;
    `confusion_matrix` is (10, 10) int64, true digit (row) x predicted digit (column);
    `expected_calibration_error` says how far confidence is from accuracy, None where it was not measured.
    `mislabelled` images were marked as labelled wrongly; the figures without them are None when none was.
    """

    evaluation_id: str
    model_version: int
    dataset: Dataset
    state: EvaluationState
    failure_reason: str
    create_time: datetime
    end_time: datetime | None
    images: int
    misclassified: int
    loss: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    per_class: tuple[ClassMetrics, ...]
    confusion_matrix: npt.NDArray[np.int64]
    expected_calibration_error: float | None = None
    mislabelled: int = 0
    accuracy_without_mislabelled: float | None = None
    accuracy_without_mislabelled_low: float | None = None
    accuracy_without_mislabelled_high: float | None = None


@dataclass(frozen=True, eq=False)
class TestDigit:
    """A digit of a data set; `index` is its place in there."""

    __test__ = False  # The name is the contract's; it is no test class.

    index: int
    pixels: Pixels
    label: int


@dataclass(frozen=True)
class TestDigits:
    """A page of digits. `total_size` counts all that pass the filter; an empty token marks the last page."""

    __test__ = False

    digits: tuple[TestDigit, ...]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, eq=False)
class MisclassifiedDigit:
    """A digit that a version misreads. `probabilities` are of the digits 0 to 9; `loss` is in nats.

    `margin`: probability of the predicted digit less that of the true one.
    """

    index: int
    pixels: Pixels
    true_digit: int
    predicted_digit: int
    confidence: float
    probabilities: tuple[float, ...]
    loss: float
    margin: float = 0.0
    is_marked_mislabelled: bool = False


@dataclass(frozen=True)
class MisclassifiedDigits:
    """A page of misread digits. `total_size` counts all that pass the filters."""

    digits: tuple[MisclassifiedDigit, ...]
    next_page_token: str
    total_size: int
    evaluation_id: str


@dataclass(frozen=True, eq=False)
class LikelyLabelError:
    """A digit whose label is likely wrong: `score` says how sure the version is of that.

    `correct_label` is what a person said it is; None when nobody did.
    """

    index: int
    pixels: Pixels
    label: int
    suggested_label: int
    score: float
    probabilities: tuple[float, ...]
    is_marked_mislabelled: bool
    correct_label: int | None


@dataclass(frozen=True)
class LikelyLabelErrors:
    """A page of digits whose label is likely wrong, the surest first, and the evaluation they come from."""

    digits: tuple[LikelyLabelError, ...]
    next_page_token: str
    total_size: int
    evaluation: Evaluation
