"""A network whose own last layer makes its probabilities honest."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from server import networks
from server.calibration import Calibration, temper
from server.datasets import Data, Digits
from server.recipes import RECIPES
from server.trainer.calibrate import calibrate_network
from server.trainer.export import export

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


@pytest.fixture(scope="module")
def validation(builtin_data: Data) -> Digits:
    found = builtin_data.split(use_all=False).validation
    assert found is not None
    return found


@pytest.fixture(scope="module")
def learnt(builtin_data: Data) -> list[np.ndarray]:
    """The weights of the classic network after a few epochs at a high rate: much too sure of itself."""
    keras.utils.set_random_seed(3)
    model = networks.build(RECIPES["classic"].defaults)
    train = builtin_data.split(use_all=False).train
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(pixels(train), train.labels, batch_size=100, epochs=4, verbose=0)
    return list(model.get_weights())


@pytest.fixture
def model(learnt: list[np.ndarray]) -> keras.Model:
    model = networks.build(RECIPES["classic"].defaults)
    model.set_weights(learnt)
    return model


def pixels(digits: Digits) -> np.ndarray:
    return digits.images[..., np.newaxis].astype(np.float32) / 255


def answers(model: keras.Model, digits: Digits) -> np.ndarray:
    return np.asarray(model(pixels(digits), training=False))


def test_the_network_answers_as_before_but_no_surer_than_it_is_right(
    model: keras.Model, validation: Digits
) -> None:
    before = answers(model, validation)
    calibration = calibrate_network(model, [validation])
    after = answers(model, validation)

    assert calibration.temperature > 1.1
    np.testing.assert_allclose(after, temper(before, calibration.temperature), atol=1e-4)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    truth = keras.losses.sparse_categorical_crossentropy
    assert np.mean(truth(validation.labels, after)) < np.mean(truth(validation.labels, before))
    kept = after.max(axis=1) >= calibration.uncertain_below - 1e-6
    assert 0.99 <= kept.mean() < 1.0


def test_a_second_calibration_finds_nothing_to_do(model: keras.Model, validation: Digits) -> None:
    calibrate_network(model, [validation])
    assert calibrate_network(model, [validation]).temperature == pytest.approx(1.0, abs=1e-3)


def test_the_artifact_itself_is_calibrated(model: keras.Model, validation: Digits, tmp_path: Path) -> None:
    before = answers(model, validation)
    calibration = calibrate_network(model, [validation])
    engine = export(model, tmp_path, validation.images[:64], threads=1)
    expected = temper(before, calibration.temperature)
    np.testing.assert_allclose(engine.probabilities(validation.images), expected, atol=1e-4)


def test_without_validation_digits_nothing_changes(model: keras.Model, validation: Digits) -> None:
    before = answers(model, validation)
    assert calibrate_network(model, ()) == Calibration()
    np.testing.assert_array_equal(answers(model, validation), before)


def test_a_network_that_does_not_end_in_a_softmax_is_refused(validation: Digits) -> None:
    image = keras.Input((28, 28, 1))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Softmax()(logits))
    with pytest.raises(TypeError, match="expected a Dense layer with softmax"):
        calibrate_network(model, [validation])
