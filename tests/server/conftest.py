"""Small real parts for the domain's tests: the built-in digits, and models that have truly learnt them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from softmax_regression import SoftmaxRegression, complete_version, fit, save_onnx

from server.datasets import Data
from server.models import ModelStore, ModelVersion


@pytest.fixture(scope="session")
def builtin_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder with the built-in digits alone."""
    root = tmp_path_factory.mktemp("datasets")
    subprocess.run([sys.executable, "-m", "server.datasets.prepare", "--root", root], check=True, timeout=120)
    return root


@pytest.fixture(scope="session")
def builtin_data(builtin_root: Path) -> Data:
    """The built-in digits."""
    return Data.open(builtin_root)


@pytest.fixture(scope="session")
def regression(builtin_data: Data) -> SoftmaxRegression:
    """A model that has learnt the built-in training digits."""
    return fit(builtin_data, steps=100)


@pytest.fixture(scope="session")
def beginner(builtin_data: Data) -> SoftmaxRegression:
    """The same model early in its training: other answers, and more mistakes."""
    return fit(builtin_data, steps=3)


@pytest.fixture(scope="session")
def artifact(regression: SoftmaxRegression, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model's artifact."""
    return regression.write(tmp_path_factory.mktemp("artifact") / "model.onnx")


@pytest.fixture(scope="session")
def complete(builtin_data: Data) -> Callable[..., Path]:
    """`complete(folder, model, **provenance)` makes a folder a whole version, measured and described."""

    def write(folder: Path, model: SoftmaxRegression, **changes: Any) -> Path:
        return complete_version(folder, model, builtin_data, **changes)

    return write


@pytest.fixture(scope="session")
def write_onnx() -> Callable[..., Path]:
    """`write_onnx(path, nodes, input_shape, output_shape, weights)` writes any model."""
    return save_onnx


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty model store."""
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="session")
def save(complete: Callable[..., Path]) -> Callable[..., ModelVersion]:
    """`save(store, model, **provenance)` puts a version into a store."""

    def commit(store: ModelStore, model: SoftmaxRegression, **changes: Any) -> ModelVersion:
        return store.commit(complete(store.staging("staged"), model, **changes))

    return commit
