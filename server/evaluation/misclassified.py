"""What a version gets wrong: which images, and in which order they are worth looking at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from server.datasets import Digits
from server.evaluation.shuffle import shuffled
from server.metrics import losses


class Order(StrEnum):
    """In which order mistakes come; equals by index."""

    CONFIDENCE = "confidence"
    """The most confident first."""
    LOSS = "loss"
    """The largest loss first."""
    INDEX = "index"
    """As they stand in the data set."""
    RANDOM = "random"
    """Shuffled by the seed."""
    MARGIN = "margin"
    """The largest margin first."""


@dataclass(frozen=True)
class MisclassifiedFilter:
    """Which mistakes, and in which order. None means any digit; confidences in [0, 1], both ends included."""

    true_digit: int | None = None
    predicted_digit: int | None = None
    min_confidence: float = 0.0
    max_confidence: float = 1.0
    order: Order = Order.CONFIDENCE
    seed: int = 0


@dataclass(frozen=True, eq=False)
class MisclassifiedDigit:
    """An image that a version misreads."""

    index: int
    """Its place in the data set."""
    image: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    true_digit: int
    predicted_digit: int
    confidence: float
    """Probability of the predicted digit, in [0, 1]."""
    probabilities: npt.NDArray[np.float32]
    """(10,) float32, by digit."""
    loss: float
    """Cross-entropy in nats."""
    margin: float
    """Probability of the predicted digit less that of the true one, in [0, 1]."""
    is_marked_mislabelled: bool


class Mistakes:
    """The mistakes in one set of answers, found once and then filtered as often as somebody asks."""

    def __init__(self, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> None:
        """`probabilities` (N, 10) float32 for the images labelled `labels` (N,) uint8."""
        predicted = probabilities.argmax(axis=1)
        self.indices = np.flatnonzero(predicted != labels)
        """(M,) int64, ascending: where they stand in the data set."""
        self._true = labels[self.indices]
        self._predicted = predicted[self.indices]
        self._probabilities = probabilities[self.indices]
        self._confidence = self._probabilities.max(axis=1, initial=0.0)
        self._loss = losses(probabilities, labels)[self.indices]
        self._margin = self._confidence - self._probabilities[np.arange(len(self)), self._true]

    def __len__(self) -> int:
        return len(self.indices)

    def select(self, chosen: MisclassifiedFilter) -> npt.NDArray[np.int64]:
        """The mistakes that pass the filter, in its order, as numbers for `digit`."""
        passing = (self._confidence >= chosen.min_confidence) & (self._confidence <= chosen.max_confidence)
        if chosen.true_digit is not None:
            passing &= self._true == chosen.true_digit
        if chosen.predicted_digit is not None:
            passing &= self._predicted == chosen.predicted_digit
        numbers = np.flatnonzero(passing)
        match chosen.order:
            case Order.CONFIDENCE:
                return numbers[np.argsort(-self._confidence[numbers], kind="stable")]
            case Order.LOSS:
                return numbers[np.argsort(-self._loss[numbers], kind="stable")]
            case Order.MARGIN:
                return numbers[np.argsort(-self._margin[numbers], kind="stable")]
            case Order.INDEX:
                return numbers
            case Order.RANDOM:
                # By their places in the data set: two versions show the mistakes they share in one order.
                return np.searchsorted(self.indices, shuffled(self.indices[numbers], chosen.seed))

    def digit(self, number: int, digits: Digits, marked: Collection[int] = ()) -> MisclassifiedDigit:
        """One mistake with its image, out of the data set that was measured, of which `marked` are marked."""
        index = int(self.indices[number])
        return MisclassifiedDigit(
            index=index,
            image=np.array(digits.images[index]),
            true_digit=int(self._true[number]),
            predicted_digit=int(self._predicted[number]),
            confidence=float(self._confidence[number]),
            probabilities=self._probabilities[number],
            loss=float(self._loss[number]),
            margin=float(self._margin[number]),
            is_marked_mislabelled=index in marked,
        )
