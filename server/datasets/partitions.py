"""How the digits are divided, so that nothing is ever measured on what it was trained on.

    mnist_rest           55,000   MNIST's training images without the built-in digits
    builtin_train         3,500 ┐
    builtin_validation      500 ├ the 5,000 built-in digits, all of them from MNIST's training images
    builtin_test          1,000 ┘
    mnist_test           10,000   MNIST's official test set

A partition holds the same digits whichever source they were read from, so "trained on these, measured on
those" can be judged from the names alone, across restarts and machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Partition(StrEnum):
    """A set of digits that shares none with any other partition."""

    MNIST_REST = "mnist_rest"
    BUILTIN_TRAIN = "builtin_train"
    BUILTIN_VALIDATION = "builtin_validation"
    BUILTIN_TEST = "builtin_test"
    MNIST_TEST = "mnist_test"


BUILTIN_PARTITIONS = (Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION, Partition.BUILTIN_TEST)


class Dataset(StrEnum):
    """What a model can be measured on."""

    MNIST_TEST = "mnist_test"
    BUILTIN_DIGITS = "builtin_digits"
    BUILTIN_TEST = "builtin_test"


DATASET_PARTITIONS: Mapping[Dataset, tuple[Partition, ...]] = {
    Dataset.MNIST_TEST: (Partition.MNIST_TEST,),
    Dataset.BUILTIN_DIGITS: BUILTIN_PARTITIONS,
    Dataset.BUILTIN_TEST: (Partition.BUILTIN_TEST,),
}


@dataclass(frozen=True, eq=False)
class Digits:
    """Labelled digits: images (N, 28, 28) uint8, 0 = background; labels (N,) uint8, 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Digits:
        """The chosen digits; a slice copies nothing."""
        return Digits(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Split:
    """What a training run learns from, what it chooses its best epoch on, and what it reports in the end."""

    train: Digits
    validation: Digits | None
    test: Digits
    train_partitions: tuple[Partition, ...]
    validation_partitions: tuple[Partition, ...]
    test_dataset: Dataset
