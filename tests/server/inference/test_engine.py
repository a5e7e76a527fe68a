"""The engine: an artifact in, probabilities out, and nothing that is no model of digits."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from server.datasets import Data, Dataset
from server.errors import ModelCorrupt
from server.inference import Engine


def test_it_computes_what_the_model_computes(artifact: Path, regression: Any, builtin_data: Data) -> None:
    images = builtin_data.dataset(Dataset.BUILTIN_TEST).images[:100]
    logits = images.reshape(100, 784) / 255.0 @ regression.weights + regression.bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    answers = Engine(artifact).probabilities(images)

    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_it_reads_digits(artifact: Path, builtin_data: Data) -> None:
    test = builtin_data.dataset(Dataset.BUILTIN_TEST)
    right = Engine(artifact).probabilities(test.images).argmax(axis=1) == test.labels
    assert right.mean() > 0.8


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 1000])
def test_any_number_of_images_gives_as_many_answers(artifact: Path, builtin_data: Data, count: int) -> None:
    images = builtin_data.dataset(Dataset.BUILTIN_TEST).images[:count]
    assert Engine(artifact).probabilities(images).shape == (count, 10)


def test_an_image_gets_the_same_answer_alone_and_among_others(artifact: Path, builtin_data: Data) -> None:
    images = builtin_data.dataset(Dataset.BUILTIN_TEST).images[:64]
    engine = Engine(artifact)
    alone = np.concatenate([engine.probabilities(images[index : index + 1]) for index in range(64)])
    np.testing.assert_allclose(engine.probabilities(images), alone, atol=1e-6)


def test_threads_may_share_it(artifact: Path, builtin_data: Data) -> None:
    images = builtin_data.dataset(Dataset.BUILTIN_TEST).images
    engine = Engine(artifact)
    parts = [images[start : start + 50] for start in range(0, 1000, 50)]
    with ThreadPoolExecutor(4) as pool:
        answers = np.concatenate(list(pool.map(engine.probabilities, parts)))
    np.testing.assert_allclose(answers, engine.probabilities(images), atol=1e-6)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 28, 28), np.float64),
        np.zeros((28, 28), np.uint8),
        np.zeros((1, 28, 28, 1), np.uint8),
        np.zeros((1, 784), np.uint8),
    ],
)
def test_anything_but_images_of_28x28_pixels_is_refused(artifact: Path, images: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 28, 28\) uint8 or float32"):
        Engine(artifact).probabilities(images)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a" * 100])
def test_a_file_that_is_no_model_is_refused_without_telling_where_it_lies(
    tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / "000007"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"000007/model\.onnx") as refusal:
        Engine(folder / "model.onnx")
    assert str(tmp_path) not in refusal.value.message


def test_a_truncated_model_is_refused(artifact: Path, tmp_path: Path) -> None:
    content = artifact.read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelCorrupt):
        Engine(tmp_path / "model.onnx")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt):
        Engine(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("image", "answer"),
    [
        ([1, 28, 28, 1], [1, 10]),  # One image at a time only.
        (["N", 32, 32, 1], ["N", 10]),
        (["N", 28, 28, 3], ["N", 10]),
        (["N", 28, 28, 1], ["N", 26]),
    ],
)
def test_a_model_of_other_shapes_is_refused_with_both_shapes(
    write_onnx: Any, tmp_path: Path, image: list[Any], answer: list[Any]
) -> None:
    weights = np.zeros((int(np.prod(image[1:])), answer[1]), np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    path = write_onnx(
        tmp_path / "model.onnx", nodes, image, answer, [numpy_helper.from_array(weights, "weights")]
    )
    with pytest.raises(ModelCorrupt, match=r"expected float \(N, 28, 28, 1\) -> float \(N, 10\), got"):
        Engine(path)


def test_a_model_whose_answers_are_no_probabilities_is_refused(write_onnx: Any, tmp_path: Path) -> None:
    weights = np.ones((784, 10), np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["probabilities"]),
    ]
    path = write_onnx(
        tmp_path / "model.onnx",
        nodes,
        ["N", 28, 28, 1],
        ["N", 10],
        [numpy_helper.from_array(weights, "weights")],
    )
    with pytest.raises(ModelCorrupt, match="adding up to 1"):
        Engine(path)


def test_what_serves_imports_no_training_library() -> None:
    modules = "server.inference, server.models, server.evaluation, server.prediction, server.database"
    check = (
        f"import sys, {modules}; print(*(sys.modules.keys() & {{'tensorflow', 'keras', 'tf2onnx', 'onnx'}}))"
    )
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
