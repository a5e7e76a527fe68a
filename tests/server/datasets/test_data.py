"""What is trained on, what chooses, and what is reported are never the same digits."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from server.datasets import DATASET_PARTITIONS, Data, Dataset, DataSource, Digits, Partition, SourceKind
from server.datasets.source import image_hashes
from server.errors import DatasetUnavailable

SIZES = {
    Partition.MNIST_REST: 55_000,
    Partition.BUILTIN_TRAIN: 3_500,
    Partition.BUILTIN_VALIDATION: 500,
    Partition.BUILTIN_TEST: 1_000,
    Partition.MNIST_TEST: 10_000,
}


def same(one: Digits, other: Digits) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


def test_the_partitions_have_their_sizes(full_data: Data) -> None:
    assert {partition: len(full_data.partition(partition)) for partition in Partition} == SIZES


def test_no_digit_is_in_two_partitions(full_data: Data) -> None:
    hashes = {partition: set(image_hashes(full_data.partition(partition))) for partition in Partition}
    assert all(hashes[one].isdisjoint(hashes[other]) for one, other in combinations(Partition, 2))


def test_the_built_in_partitions_are_the_same_with_and_without_mnist(
    full_data: Data, builtin_data: Data
) -> None:
    for partition in (Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION, Partition.BUILTIN_TEST):
        assert same(full_data.partition(partition), builtin_data.partition(partition))


def test_an_index_means_the_same_built_in_digit_with_and_without_mnist(
    full_data: Data, builtin_data: Data
) -> None:
    assert same(full_data.dataset(Dataset.BUILTIN_DIGITS), builtin_data.dataset(Dataset.BUILTIN_DIGITS))


def test_the_test_digits_are_mnists_in_their_order(full_data: Data, mnist: Any) -> None:
    assert same(full_data.dataset(Dataset.MNIST_TEST), mnist.content.test)


def test_a_run_on_mnist_validates_on_all_built_in_digits(full_data: Data) -> None:
    split = full_data.split(use_all=False)
    assert same(split.train, full_data.partition(Partition.MNIST_REST))
    assert split.validation is not None
    assert same(split.validation, full_data.dataset(Dataset.BUILTIN_DIGITS))
    assert same(split.test, full_data.dataset(Dataset.MNIST_TEST))
    assert split.test_dataset is Dataset.MNIST_TEST


def test_the_classic_run_gets_all_of_mnists_training_set_in_its_order(full_data: Data, mnist: Any) -> None:
    split = full_data.split(use_all=True)
    assert same(split.train, mnist.content.train)
    assert split.validation is None
    assert same(split.test, mnist.content.test)


def test_a_run_on_the_built_in_digits_trains_validates_and_tests_on_three_parts(builtin_data: Data) -> None:
    split = builtin_data.split(use_all=False)
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (3500, 500, 1000)
    assert split.test_dataset is Dataset.BUILTIN_TEST


def test_the_classic_run_on_the_built_in_digits_gets_four_thousand(builtin_data: Data) -> None:
    split = builtin_data.split(use_all=True)
    assert (len(split.train), split.validation, len(split.test)) == (4000, None, 1000)


@pytest.mark.parametrize("use_all", [False, True])
@pytest.mark.parametrize("which", ["full_data", "builtin_data"])
def test_the_names_of_the_partitions_are_what_was_given(
    request: pytest.FixtureRequest, which: str, use_all: bool
) -> None:
    data: Data = request.getfixturevalue(which)
    split = data.split(use_all)
    assert set(image_hashes(split.train)) == {
        image for partition in split.train_partitions for image in image_hashes(data.partition(partition))
    }
    assert (split.validation is None) == (split.validation_partitions == ())
    tested = DATASET_PARTITIONS[split.test_dataset]
    named = (*split.train_partitions, *split.validation_partitions, *tested)
    assert len(set(named)) == len(named)


def test_only_what_is_there_is_available(full_data: Data, builtin_data: Data) -> None:
    assert full_data.available() == {
        Dataset.MNIST_TEST: 10_000,
        Dataset.BUILTIN_DIGITS: 5_000,
        Dataset.BUILTIN_TEST: 1_000,
    }
    assert builtin_data.available() == {Dataset.BUILTIN_DIGITS: 5_000, Dataset.BUILTIN_TEST: 1_000}


def test_mnist_is_refused_with_a_way_to_get_it_where_it_is_not(builtin_data: Data) -> None:
    with pytest.raises(DatasetUnavailable, match=r"mnist_test is not on this machine.*DIGITS_MNIST"):
        builtin_data.dataset(Dataset.MNIST_TEST)
    with pytest.raises(DatasetUnavailable, match="mnist_rest is not on this machine"):
        builtin_data.partition(Partition.MNIST_REST)


@pytest.mark.parametrize("which", ["full_data", "builtin_data"])
def test_the_digits_cannot_be_changed(request: pytest.FixtureRequest, which: str) -> None:
    data: Data = request.getfixturevalue(which)
    for dataset in data.available():
        with pytest.raises(ValueError, match="read-only"):
            data.dataset(dataset).images[0, 0, 0] = 1


def test_the_digits_are_mapped_and_not_copied(full_data: Data) -> None:
    rest = full_data.partition(Partition.MNIST_REST).images
    assert np.shares_memory(rest, full_data.split(use_all=False).train.images)
    builtin = full_data.dataset(Dataset.BUILTIN_DIGITS).images
    assert np.shares_memory(builtin, full_data.partition(Partition.BUILTIN_TEST).images)


def test_the_source_survives_its_json_form() -> None:
    source = DataSource(SourceKind.MNIST_DOWNLOAD, "MNIST, as downloaded.", "ab" * 32)
    assert DataSource.from_json(source.to_json()) == source


def test_a_folder_where_nothing_is_prepared_is_refused(tmp_path: Any) -> None:
    with pytest.raises(DatasetUnavailable, match="no digits are prepared"):
        Data.open(tmp_path)
