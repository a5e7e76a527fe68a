"""The networks: the classic one to the letter, and a small convolutional one."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from server import networks
from server.recipes import RECIPES, Activation, Architecture, TrainingOptions

CLASSIC = RECIPES["classic"].defaults


def options_of(architecture: Architecture, activation: Activation) -> TrainingOptions:
    return dataclasses.replace(CLASSIC, architecture=architecture, activation=activation)


def test_the_classic_network_is_784_pixels_512_hidden_units_and_10_classes() -> None:
    model = networks.build(CLASSIC)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.kernel.shape for layer in dense] == [(784, 512), (512, 10)]
    assert [layer.activation.__name__ for layer in dense] == ["relu", "softmax"]
    assert model.count_params() == 784 * 512 + 512 + 512 * 10 + 10


def test_the_convolutional_network_is_small_enough_to_ship() -> None:
    assert networks.build(RECIPES["cnn"].defaults).count_params() < 200_000


@pytest.mark.parametrize("architecture", list(Architecture))
@pytest.mark.parametrize("activation", list(Activation))
def test_every_network_turns_images_into_probabilities(
    architecture: Architecture, activation: Activation
) -> None:
    model = networks.build(options_of(architecture, activation))
    images = np.random.default_rng(1).random((3, 28, 28, 1), np.float32)
    probabilities = model(images, training=False).numpy()
    assert probabilities.shape == (3, 10)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    used = {layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")}
    assert activation.value in used


def test_the_same_seed_gives_the_same_weights() -> None:
    keras.utils.set_random_seed(1)
    first = networks.build(CLASSIC).get_weights()
    keras.utils.set_random_seed(1)
    again = networks.build(CLASSIC).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
