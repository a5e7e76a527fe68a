"""The version that comes with the software, and the command that made it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import server
from server.datasets import Data, Dataset, Partition
from server.datasets.pen_strokes import WRITERS
from server.inference import Engine
from server.models import ARTIFACT, KERAS_MODEL, ModelVersion
from server.models.version import read_version, verify_file
from server.trainer.non_digits import non_digits
from server.trainer.ship import main

SHIPPED = Path(server.__file__).parent / "shipped"


@pytest.fixture(scope="module")
def version() -> ModelVersion:
    return read_version(SHIPPED, version=0)


def test_its_files_are_whole(version: ModelVersion) -> None:
    assert version.is_shipped
    for name in version.files:
        verify_file(SHIPPED, version, name)


def test_it_is_small(version: ModelVersion) -> None:
    assert version.parameters < 1_000_000
    assert version.files[ARTIFACT].bytes + version.files[KERAS_MODEL].bytes < 4_000_000


def test_it_reads_mnists_test_set(version: ModelVersion) -> None:
    assert version.test_dataset is Dataset.MNIST_TEST
    assert version.metrics.images == 10_000
    assert version.metrics.accuracy >= 0.996


def test_it_never_learnt_from_a_digit_it_is_measured_on(version: ModelVersion) -> None:
    assert version.train_partitions == (Partition.MNIST_REST,)
    assert version.train_images == 55_000


def test_it_says_how_it_was_made(version: ModelVersion) -> None:
    epochs, seed = version.options["epochs"], version.options["seed"]
    assert version.command == f"python -m server.trainer.ship --epochs {epochs} --seed {seed}"
    assert len(version.data_source.sha256) == 64
    assert {"python", "tensorflow", "keras", "onnxruntime"} <= set(version.libraries)


def test_it_reads_the_built_in_digits_as_well_as_it_says(version: ModelVersion, builtin_data: Data) -> None:
    # They chose its best epoch, so that they are no test of it; but they are on every machine.
    digits = builtin_data.dataset(Dataset.BUILTIN_DIGITS)
    probabilities = Engine(SHIPPED / ARTIFACT).probabilities(digits.images)
    accuracy = (probabilities.argmax(axis=1) == digits.labels).mean()
    assert version.validation_accuracy == pytest.approx(accuracy, abs=2e-4)


def test_it_was_shown_pen_strokes_and_reads_those_of_people_it_has_never_seen(version: ModelVersion) -> None:
    record = version.pen_strokes
    assert "UCI, CC BY 4.0" in record["source"]
    assert len(record["sha256"]) == 64
    for group, writers in WRITERS.items():
        assert record[group]["writers"] == list(writers)
    assert record["test"]["centred"]["accuracy"] >= 0.99
    assert record["test"]["anywhere"]["accuracy"] >= 0.985


def test_it_doubts_what_is_no_digit_more_than_digits(version: ModelVersion, builtin_data: Data) -> None:
    digits = builtin_data.dataset(Dataset.BUILTIN_DIGITS)
    others = non_digits(digits, 500, np.random.default_rng(1))
    engine = Engine(SHIPPED / ARTIFACT)
    doubted = [
        (engine.probabilities(images).max(axis=1) < version.uncertain_below).mean()
        for images in (others, digits.images)
    ]
    assert doubted[0] >= 0.5
    assert doubted[1] <= 0.01


def test_its_probabilities_are_calibrated(version: ModelVersion) -> None:
    assert version.temperature != 1.0
    assert version.metrics.expected_calibration_error is not None
    assert version.metrics.expected_calibration_error < 0.01


def test_its_keras_model_is_the_same_network(builtin_data: Data) -> None:
    images = builtin_data.split(use_all=False).test.images[:100]
    model = keras.saving.load_model(SHIPPED / KERAS_MODEL)
    expected = model(images[..., np.newaxis].astype(np.float32) / 255, training=False).numpy()
    np.testing.assert_allclose(Engine(SHIPPED / ARTIFACT).probabilities(images), expected, atol=1e-4)


def test_it_is_not_made_without_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DIGITS_MNIST", raising=False)
    assert main(["--out", str(tmp_path / "shipped")]) == 2
    assert "DIGITS_MNIST: expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_made_with_an_impossible_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITS_MNIST", str(tmp_path))
    monkeypatch.setenv("DIGITS_PEN_STROKES", str(tmp_path))
    assert main(["--out", str(tmp_path / "shipped"), "--epochs", "0"]) == 2
    assert "options.epochs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_made_without_pen_strokes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITS_MNIST", str(tmp_path))
    monkeypatch.delenv("DIGITS_PEN_STROKES", raising=False)
    assert main(["--out", str(tmp_path / "shipped")]) == 2
    assert "DIGITS_PEN_STROKES: expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
