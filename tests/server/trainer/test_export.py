"""From a network to the files that serve."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from server import networks
from server.datasets import Data
from server.models import ARTIFACT, KERAS_MODEL
from server.recipes import RECIPES
from server.trainer import export as export_module
from server.trainer.export import ExportMismatch, export

# Keras's own code, while it saves and exports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


@pytest.fixture(scope="module")
def images(builtin_data: Data) -> np.ndarray:
    return builtin_data.split(use_all=False).train.images[:64]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    return networks.build(RECIPES["cnn"].defaults)


def test_both_files_answer_as_the_network_does(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    engine = export(model, tmp_path, images, threads=1)
    expected = model(images[..., np.newaxis].astype(np.float32) / 255, training=False).numpy()
    np.testing.assert_allclose(engine.probabilities(images), expected, atol=1e-5)
    loaded = keras.saving.load_model(tmp_path / KERAS_MODEL)
    again = loaded(images[..., np.newaxis].astype(np.float32) / 255, training=False).numpy()
    np.testing.assert_allclose(again, expected, atol=1e-5)
    assert not loaded.compiled  # No optimizer's state travels along.
    assert {path.name for path in tmp_path.iterdir()} == {ARTIFACT, KERAS_MODEL}


def test_the_artifact_takes_any_number_of_images(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    engine = export(model, tmp_path, images, threads=1)
    together = engine.probabilities(images)
    alone = np.concatenate([engine.probabilities(images[:1]), engine.probabilities(images[1:])])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_an_artifact_that_answers_otherwise_is_refused(
    model: keras.Model, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "TOLERANCE", 0.0)
    with pytest.raises(ExportMismatch, match="got a difference of"):
        export(model, tmp_path, images, threads=1)
