"""The smallest model that reads digits, and whole versions of it: real ones, and small enough to be many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from server.datasets import Data
from server.inference import Engine
from server.metrics import measure
from server.models import Provenance, write_version
from server.recipes import resolve


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """The smallest model that reads digits: one layer, 87 % right. `weights` (784, 10), `bias` (10,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def write(self, path: Path) -> Path:
        """Write it as the artifact that the engine runs."""
        nodes = [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        return save_onnx(
            path,
            nodes,
            ["N", 28, 28, 1],
            ["N", 10],
            [numpy_helper.from_array(self.weights, "weights"), numpy_helper.from_array(self.bias, "bias")],
        )


def save_onnx(path: Path, nodes: list[Any], image: list[Any], answer: list[Any], weights: list[Any]) -> Path:
    """Write a model with the input `image` and the output `probabilities`, float32 of the given shapes."""
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, answer)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


def fit(data: Data, steps: int) -> SoftmaxRegression:
    """Gradient descent with momentum on the built-in training digits."""
    train = data.split(use_all=False).train
    pixels = train.images.reshape(len(train), 784).astype(np.float32) / 255
    targets = np.eye(10, dtype=np.float32)[train.labels]
    parameters = np.zeros((785, 10), np.float32)  # The last row is the bias.
    velocity: npt.NDArray[Any] = np.zeros_like(parameters)
    for _ in range(steps):
        logits = pixels @ parameters[:-1] + parameters[-1]
        answers = np.exp(logits - logits.max(axis=1, keepdims=True))
        errors = (answers / answers.sum(axis=1, keepdims=True) - targets) / len(train)
        velocity = 0.9 * velocity - 0.5 * np.vstack([pixels.T @ errors, errors.sum(axis=0)])
        parameters += velocity
    return SoftmaxRegression(parameters[:-1].copy(), parameters[-1].copy())


def complete_version(folder: Path, model: SoftmaxRegression, data: Data, **changes: Any) -> Path:
    """Make a folder a whole version, measured on the built-in digits `data` and described, for
    `ModelStore.commit`. `changes` are to its provenance.
    """
    path = model.write(folder / "model.onnx")
    # Stands for the Keras file, which the server only keeps.
    (folder / "model.keras").write_bytes(model.weights.tobytes())
    split = data.split(use_all=False)
    assert split.validation is not None
    probabilities = Engine(path).probabilities(split.test.images)
    values = {
        "recipe": "classic",
        "options": resolve("classic", {"epochs": 1, "learning_rate": 0.5}).to_json(),
        "training_id": "training-1",
        "created": datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
        "description": "A softmax regression on the built-in digits",
        "data_source": data.source,
        "train_partitions": split.train_partitions,
        "train_images": len(split.train),
        "validation_partitions": split.validation_partitions,
        "validation_images": len(split.validation),
        "validation_accuracy": 0.9,
        "test_dataset": split.test_dataset,
        "libraries": {"numpy": np.__version__},
        "parameters": 7850,
    }
    provenance = Provenance(**{**values, **changes})
    write_version(folder, provenance, measure(probabilities, split.test.labels), probabilities)
    return folder
