"""The features of a version: what its last layer is fed with, on disk, and searched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

import server
from server.datasets import Data
from server.errors import ModelCorrupt
from server.explanation.cut import NoFeatures, cut
from server.explanation.feature_files import (
    KEPT,
    cosine_distances,
    find_nearest,
    remove_old,
    remove_unfinished,
    write_features,
)
from server.inference import Engine
from server.inference.features import FeatureEngine

SHIPPED = Path(server.__file__).parent / "shipped"


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def last_weights(artifact: Path) -> list[npt.NDArray[np.float32]]:
    """Weights and bias of a network's last dense layer."""
    graph = onnx.load(artifact).graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    dense = [node for node in graph.node if node.op_type in ("Gemm", "MatMul")][-1]
    behind = graph.node[list(graph.node).index(dense) :]
    return [weights[name] for node in behind[:2] for name in node.input if name in weights]


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory, write_onnx: Callable[..., Path]) -> Path:
    """784 pixels, 32 hidden units, 10 probabilities, as the classic network has it."""
    generator = np.random.default_rng(1)
    shapes = {"w1": (784, 32), "b1": (32,), "w2": (32, 10), "b2": (10,)}
    weights = [
        numpy_helper.from_array(generator.normal(0, 0.1, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "w2"], ["product"]),
        helper.make_node("Add", ["product", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    path = tmp_path_factory.mktemp("mlp") / "model.onnx"
    return write_onnx(path, nodes, ["N", 28, 28, 1], ["N", 10], weights)


@pytest.mark.parametrize(("network", "count"), [("cnn", 384), ("mlp", 32)])
def test_features_and_the_last_layer_make_the_probabilities(
    tmp_path: Path, mlp: Path, builtin_data: Data, network: str, count: int
) -> None:
    artifact = mlp if network == "mlp" else SHIPPED / "model.onnx"
    cut(artifact, tmp_path / "network.onnx")
    images = builtin_data.split(use_all=False).test.images[:8]
    features = FeatureEngine(tmp_path / "network.onnx").features(images)
    assert (features.shape, features.dtype) == ((8, count), np.float32)
    weights, bias = last_weights(artifact)
    expected = Engine(artifact).probabilities(images)
    np.testing.assert_allclose(softmax(features @ weights + bias), expected, atol=1e-5)


def test_what_only_the_last_layer_needs_is_not_kept(tmp_path: Path, mlp: Path) -> None:
    cut(mlp, tmp_path / "network.onnx")
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert [node.op_type for node in graph.node] == ["Flatten", "Gemm", "Relu"]
    assert {weight.name for weight in graph.initializer} == {"w1", "b1"}


def test_a_network_without_a_dense_layer_has_no_features(
    tmp_path: Path, write_onnx: Callable[..., Path]
) -> None:
    kernel = numpy_helper.from_array(np.zeros((10, 1, 28, 28), np.float32), "kernel")
    nodes = [
        helper.make_node("Transpose", ["image"], ["maps"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["maps", "kernel"], ["answers"]),
        helper.make_node("Flatten", ["answers"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    artifact = write_onnx(tmp_path / "model.onnx", nodes, ["N", 28, 28, 1], ["N", 10], [kernel])
    with pytest.raises(NoFeatures, match="no dense layer at its end"):
        cut(artifact, tmp_path / "network.onnx")


def test_a_network_that_cannot_be_loaded_is_called_corrupt(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(ModelCorrupt, match=r"network\.onnx: ONNX Runtime cannot load it"):
        FeatureEngine(tmp_path / "network.onnx")


@pytest.fixture
def rows(tmp_path: Path) -> npt.NDArray[np.float32]:
    """1,000 rows of both signs, one of them empty, written as the features of 1,000 images."""
    values = np.random.default_rng(2).normal(size=(1000, 64)).astype(np.float32)
    values[17] = 0
    images = np.arange(1000, dtype=np.uint32).view(np.uint8).reshape(1000, 1, 4)
    write_features(tmp_path, images, lambda part: values[part.reshape(-1, 4).view(np.uint32)[:, 0]])
    return values


def test_the_nearest_are_those_of_the_smallest_angle(tmp_path: Path, rows: npt.NDArray[np.float32]) -> None:
    query = np.random.default_rng(3).normal(size=64).astype(np.float32)
    exact = cosine_distances(rows, query)
    found = find_nearest(tmp_path, query, 1000)
    assert sorted(found.tolist()) == list(range(1000))
    # A byte a value: two that are almost equally near may change places.
    np.testing.assert_allclose(exact[found], np.sort(exact), atol=0.01)
    np.testing.assert_array_equal(find_nearest(tmp_path, query, 5), found[:5])


def test_a_row_is_nearest_to_itself_whatever_its_length(
    tmp_path: Path, rows: npt.NDArray[np.float32]
) -> None:
    for scale in (1, 1000, 1e-3):
        assert find_nearest(tmp_path, rows[421] * np.float32(scale), 3)[0] == 421


def test_distances_go_from_alike_to_opposite_and_nothing_is_like_no_feature_at_all() -> None:
    rows = np.array([[2, 0], [0, 3], [-1, 0], [0, 0], [1, 1]], np.float32)
    expected = [0.0, 1.0, 2.0, 1.0, 1 - 0.5**0.5]
    assert cosine_distances(rows, np.array([5, 0], np.float32)).tolist() == pytest.approx(expected)
    assert cosine_distances(rows, np.zeros(2, np.float32)).tolist() == [1.0] * 5


def test_features_of_another_length_are_refused(tmp_path: Path, rows: npt.NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"expected \(1000, 10\) features"):
        find_nearest(tmp_path, np.zeros(10, np.float32), 3)


def test_only_those_used_last_are_kept_and_nothing_unfinished(tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        folder = tmp_path / f"features-{number}"
        folder.mkdir()
        os.utime(folder, (number, number))
    (tmp_path / ".unfinished-x").mkdir()
    remove_unfinished(tmp_path)
    remove_old(tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"features-{number}" for number in range(2, KEPT + 2)]
