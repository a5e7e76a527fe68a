"""The training digits that are most alike: prepared in the background, once, and only training digits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from server.datasets import Data
from server.errors import ModelNotFound
from server.explanation import Neighbours
from server.explanation.neighbours import NotReady
from server.models import ModelStore, ModelVersion

PATIENCE_S = 60.0


def test_at_first_it_says_that_they_are_prepared_and_then_they_are_there(
    neighbours: Neighbours, version: ModelVersion, builtin_data: Data, found: Any
) -> None:
    split = builtin_data.split(use_all=False)
    with pytest.raises(NotReady, match="by version 1 for the first time; ask again in a few seconds"):
        neighbours.nearest(1, split.test.images[0], 5)

    train = split.train.images.reshape(len(split.train), 784).astype(float)
    for image in split.test.images[:3]:
        # The features of this version are the pixels, so that the answer is known.
        query = image.reshape(784).astype(float)
        cosines = train @ query / (np.linalg.norm(train, axis=1) * np.linalg.norm(query))
        expected = np.sort(1 - cosines)[:5]
        five = found(neighbours, 1, image, 5)
        assert [one.distance for one in five] == pytest.approx(expected, abs=1e-4)
        for one in five:
            np.testing.assert_array_equal(one.image, split.train.images[one.index])
            assert one.label == split.train.labels[one.index]


def test_a_training_digit_is_its_own_nearest_and_a_test_digit_is_never_found(
    neighbours: Neighbours, version: ModelVersion, builtin_data: Data, found: Any
) -> None:
    split = builtin_data.split(use_all=False)
    (itself,) = found(neighbours, 1, split.train.images[123], 1)
    assert itself.index == 123
    assert itself.distance < 1e-4
    (other,) = found(neighbours, 1, split.test.images[5], 1)
    assert other.distance > 0.01


def test_after_a_restart_they_are_there_at_once(
    open_neighbours: Callable[..., Neighbours], version: ModelVersion, builtin_data: Data, found: Any
) -> None:
    image = builtin_data.split(use_all=False).test.images[0]
    before = found(open_neighbours(), 1, image, 5)
    after = open_neighbours().nearest(1, image, 5)
    assert [one.index for one in after] == [one.index for one in before]


def test_damaged_features_are_made_again(
    neighbours: Neighbours, version: ModelVersion, builtin_data: Data, found: Any, tmp_path: Path
) -> None:
    image = builtin_data.split(use_all=False).test.images[0]
    before = found(neighbours, 1, image, 5)
    (features,) = (tmp_path / "features").glob("*/features.npy")
    features.write_bytes(features.read_bytes()[:1000])
    with pytest.raises(NotReady, match="ask again in a few seconds"):
        neighbours.nearest(1, image, 5)
    assert [one.index for one in found(neighbours, 1, image, 5)] == [one.index for one in before]


def test_without_digits_yet_it_says_so_and_prepares_nothing(
    open_neighbours: Callable[..., Neighbours], version: ModelVersion, tmp_path: Path
) -> None:
    with pytest.raises(NotReady, match="the digits are not ready yet"):
        open_neighbours(data=None).nearest(1, np.zeros((28, 28), np.uint8), 5)
    assert not (tmp_path / "features").exists()


def test_there_are_none_of_a_version_that_does_not_exist(neighbours: Neighbours) -> None:
    with pytest.raises(ModelNotFound):
        neighbours.nearest(7, np.zeros((28, 28), np.uint8), 5)


class Convolution:
    """The regression as one convolution over the whole image: the same answers without a dense layer."""

    def __init__(self, regression: Any, write_onnx: Callable[..., Path]) -> None:
        self.weights = regression.weights
        self.bias = regression.bias
        self._write_onnx = write_onnx

    def write(self, path: Path) -> Path:
        kernel = np.ascontiguousarray(self.weights.T).reshape(10, 1, 28, 28)
        nodes = [
            helper.make_node("Transpose", ["image"], ["maps"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["maps", "kernel", "bias"], ["answers"]),
            helper.make_node("Flatten", ["answers"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(self.bias, "bias")]
        return self._write_onnx(path, nodes, ["N", 28, 28, 1], ["N", 10], weights)


def test_a_version_without_features_tells_why(
    neighbours: Neighbours,
    store: ModelStore,
    save: Callable[..., ModelVersion],
    regression: Any,
    write_onnx: Callable[..., Path],
    builtin_data: Data,
) -> None:
    save(store, Convolution(regression, write_onnx))
    image = builtin_data.split(use_all=False).test.images[0]
    deadline, told = time.monotonic() + PATIENCE_S, ""
    while "no dense layer" not in told:
        assert time.monotonic() < deadline, told
        with pytest.raises(NotReady) as refusal:
            neighbours.nearest(1, image, 5)
        told = str(refusal.value)
        time.sleep(0.02)
    assert told == (
        "the training digits cannot be compared: this version has no dense layer at its end, "
        "and so no features to compare digits by"
    )


def test_closing_gives_up_what_is_not_finished(
    neighbours: Neighbours, version: ModelVersion, builtin_data: Data, tmp_path: Path
) -> None:
    image = builtin_data.split(use_all=False).test.images[0]
    with pytest.raises(NotReady):
        neighbours.nearest(1, image, 5)
    neighbours.close()
    assert not list((tmp_path / "features").glob("[!.]*"))
    with pytest.raises(NotReady):
        neighbours.nearest(1, image, 5)
