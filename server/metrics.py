"""How good a classifier is, from its probabilities and the true labels. NumPy only.

The same function measures a version when it is trained and whenever it is measured again, so that the
numbers can be compared.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from server.calibration import CLASSES, check_answers, expected_calibration_error

# Keras clips probabilities so before it takes the logarithm: one certain mistake is not an infinite loss.
EPSILON = 1e-7

# The standard normal's 97.5 % quantile: a two-sided 95 % interval.
Z_95 = 1.959964


@dataclass(frozen=True)
class ClassMetrics:
    """How well one digit is read, each in [0, 1]; 0 where undefined, as scikit-learn has it."""

    precision: float
    recall: float
    f1: float
    support: int
    """How many images truly show this digit."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """A classifier measured on `images` labelled images."""

    images: int
    misclassified: int
    loss: float
    """Mean cross-entropy in nats, probabilities clipped at 1e-7 as Keras does."""
    accuracy: float
    accuracy_low: float
    """Wilson's 95 % interval of the accuracy, lower end."""
    accuracy_high: float
    confusion_matrix: npt.NDArray[np.int64]
    """(10, 10) int64: rows are true digits, columns predicted ones."""
    per_class: tuple[ClassMetrics, ...]
    """Ten, by digit."""
    expected_calibration_error: float | None = None
    """How far confidence is from accuracy, in [0, 1] (`server.calibration`). None for older measurements."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that `json` can write; `from_json` reads them back."""
        return {
            "images": self.images,
            "misclassified": self.misclassified,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "confusion_matrix": self.confusion_matrix.tolist(),
            "per_class": [asdict(metrics) for metrics in self.per_class],
            "expected_calibration_error": self.expected_calibration_error,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Metrics:
        """The metrics that `to_json` gave. Raises KeyError, TypeError or ValueError on anything else."""
        matrix = np.array(values["confusion_matrix"], dtype=np.int64)
        per_class = tuple(ClassMetrics(**one) for one in values["per_class"])
        if matrix.shape != (CLASSES, CLASSES) or len(per_class) != CLASSES:
            raise ValueError(f"expected a (10, 10) confusion matrix and 10 classes, got {matrix.shape}")
        return cls(**{**values, "confusion_matrix": matrix, "per_class": per_class})


def measure(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> Metrics:
    """Measure predictions: probabilities (N, 10) float, labels (N,) of 0-9, N ≥ 1.

    The predicted digit is the most probable one, the lower of equals.
    """
    check_answers(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted)
    images, right = len(labels), int(np.trace(matrix))
    low, high = wilson_interval(right, images)
    return Metrics(
        images=images,
        misclassified=images - right,
        loss=float(losses(probabilities, labels).mean()),
        accuracy=right / images,
        accuracy_low=low,
        accuracy_high=high,
        confusion_matrix=matrix,
        per_class=tuple(_class_metrics(matrix, digit) for digit in range(CLASSES)),
        expected_calibration_error=expected_calibration_error(probabilities, labels),
    )


def confusion_matrix(
    labels: npt.NDArray[np.uint8], predicted: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """How often each true digit (row) was read as each digit (column): (10, 10) int64."""
    matrix = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def losses(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The cross-entropy of each image in nats: (N,) float64, 0 certain and right, 16.1 certain and wrong."""
    check_answers(probabilities, labels)
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(of_label, EPSILON, 1.0 - EPSILON))


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927): honest near 0 and 1, where accuracies live."""
    proportion, z2 = successes / trials, Z_95 * Z_95
    centre = proportion + z2 / (2 * trials)
    margin = Z_95 * math.sqrt(proportion * (1 - proportion) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    # The interval holds the proportion and stays a share: rounding must not break either at 0 and 1.
    low, high = (centre - margin) / scale, (centre + margin) / scale
    return max(0.0, min(proportion, low)), min(1.0, max(proportion, high))


def _class_metrics(matrix: npt.NDArray[np.int64], digit: int) -> ClassMetrics:
    right = int(matrix[digit, digit])
    support, predicted = int(matrix[digit].sum()), int(matrix[:, digit].sum())
    return ClassMetrics(
        precision=right / predicted if predicted else 0.0,
        recall=right / support if support else 0.0,
        # The harmonic mean of the two, in the form that is defined when one of them is not.
        f1=2 * right / (support + predicted) if support + predicted else 0.0,
        support=support,
    )
