"""The prepared digits, opened: partitions, data sets to measure on, the split of a training run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.datasets.builtin import BUILTIN_SIZES
from server.datasets.partitions import (
    BUILTIN_PARTITIONS,
    DATASET_PARTITIONS,
    Dataset,
    Digits,
    Partition,
    Split,
)
from server.datasets.prepared import open_arrays, paired, read_current
from server.datasets.source import DataSource
from server.errors import DatasetUnavailable, TrainedOnDataset


class Data:
    """The digits of one data directory, mapped into memory, read-only; safe to use from several threads."""

    def __init__(self, source: DataSource, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.source = source
        self._arrays = arrays
        self._builtin = paired(arrays, "builtin")
        self._partitions: dict[Partition, Digits] = {}
        start = 0
        for partition, size in BUILTIN_SIZES.items():
            self._partitions[partition] = self._builtin[start : start + size]
            start += size
        if self.has_mnist:
            self._partitions[Partition.MNIST_REST] = paired(arrays, "mnist_rest")
            self._partitions[Partition.MNIST_TEST] = paired(arrays, "mnist_test")

    @classmethod
    def open(cls, root: Path) -> Data:
        """The digits that `server.datasets.prepare` left under `root`. Raises DatasetUnavailable."""
        current = read_current(root)
        if current is None:
            raise DatasetUnavailable(
                f"no digits are prepared in {root}; python -m server.datasets.prepare does that"
            )
        return cls(current.source, open_arrays(root / current.folder))

    @property
    def has_mnist(self) -> bool:
        """Whether this is all of MNIST, not the built-in digits alone."""
        return "mnist_rest_images" in self._arrays

    def partition(self, partition: Partition) -> Digits:
        """The digits of one partition, in a fixed order. Raises DatasetUnavailable."""
        if partition not in self._partitions:
            raise _needs_mnist(partition)
        return self._partitions[partition]

    def dataset(self, dataset: Dataset) -> Digits:
        """The digits to measure on, in a fixed order: an index means the same digit for ever.

        Raises DatasetUnavailable.
        """
        if dataset not in self.available():
            raise _needs_mnist(dataset)
        # The built-in partitions lie one after the other, so their union is no copy.
        return (
            self._builtin
            if dataset is Dataset.BUILTIN_DIGITS
            else self.partition(DATASET_PARTITIONS[dataset][0])
        )

    def available(self) -> dict[Dataset, int]:
        """The data sets that are on this machine, with the number of their digits."""
        return {
            dataset: sum(len(self._partitions[partition]) for partition in partitions)
            for dataset, partitions in DATASET_PARTITIONS.items()
            if all(partition in self._partitions for partition in partitions)
        }

    def split(self, use_all: bool) -> Split:
        """What a training run uses. `use_all`: train on the validation digits too, and validate on nothing.

        With MNIST, `use_all` gives all 60,000 training digits in MNIST's original order, as a copy (47 MB).
        """
        if not self.has_mnist:
            return self._builtin_split(use_all)
        return Split(
            train=self._all_of_mnist() if use_all else self.partition(Partition.MNIST_REST),
            validation=None if use_all else self._builtin,
            test=self.partition(Partition.MNIST_TEST),
            train_partitions=(Partition.MNIST_REST, *(BUILTIN_PARTITIONS if use_all else ())),
            validation_partitions=() if use_all else BUILTIN_PARTITIONS,
            test_dataset=Dataset.MNIST_TEST,
        )

    def split_after(self, learnt: Collection[Partition]) -> Split:
        """What a run uses that goes on from a version which has learnt these partitions.

        They do not validate it. Raises TrainedOnDataset when they would measure it.
        """
        split = self.split(use_all=False)
        if set(learnt).intersection(DATASET_PARTITIONS[split.test_dataset]):
            raise TrainedOnDataset(
                f"the version has learnt digits of {split.test_dataset}, which would measure what is made of "
                "it here; go on from another version, or restart the server with DIGITS_MNIST set"
            )
        unseen = tuple(part for part in split.validation_partitions if part not in learnt)
        return replace(
            split,
            validation=self._together(unseen) if unseen else None,
            train_partitions=tuple(dict.fromkeys((*learnt, *split.train_partitions))),
            validation_partitions=unseen,
        )

    def _together(self, partitions: tuple[Partition, ...]) -> Digits:
        parts = [self.partition(partition) for partition in partitions]
        return Digits(
            np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])
        )

    def _builtin_split(self, use_all: bool) -> Split:
        train = BUILTIN_SIZES[Partition.BUILTIN_TRAIN]
        learnt = train + BUILTIN_SIZES[Partition.BUILTIN_VALIDATION]
        return Split(
            train=self._builtin[:learnt] if use_all else self.partition(Partition.BUILTIN_TRAIN),
            validation=None if use_all else self.partition(Partition.BUILTIN_VALIDATION),
            test=self.partition(Partition.BUILTIN_TEST),
            train_partitions=(
                (Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION)
                if use_all
                else (Partition.BUILTIN_TRAIN,)
            ),
            validation_partitions=() if use_all else (Partition.BUILTIN_VALIDATION,),
            test_dataset=Dataset.BUILTIN_TEST,
        )

    def _all_of_mnist(self) -> Digits:
        rest = self.partition(Partition.MNIST_REST)
        is_builtin = np.zeros(len(rest) + len(self._builtin), dtype=np.bool_)
        is_builtin[self._arrays["builtin_positions"]] = True
        images = np.empty((len(is_builtin), 28, 28), np.uint8)
        labels = np.empty(len(is_builtin), np.uint8)
        for target, rest_part, builtin_part in (
            (images, rest.images, self._builtin.images),
            (labels, rest.labels, self._builtin.labels),
        ):
            target[~is_builtin] = rest_part
            target[self._arrays["builtin_positions"]] = builtin_part
        return Digits(images, labels)


def _needs_mnist(name: str) -> DatasetUnavailable:
    return DatasetUnavailable(
        f"{name} is not on this machine, which has the 5,000 built-in digits only; restart the server with "
        "DIGITS_MNIST set to an MNIST file, or with a network so that it can download MNIST"
    )
