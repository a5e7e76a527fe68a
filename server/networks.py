"""The networks, as Keras models: (N, 28, 28, 1) float32 in [0, 1] -> (N, 10) float32 probabilities."""

from __future__ import annotations

import keras
from keras import layers

from server.recipes import Activation, Architecture, TrainingOptions

# Of the weights between the last feature maps and the classes, this share is left out at random in each step.
DROPOUT = 0.3


def build(options: TrainingOptions) -> keras.Model:
    """An untrained network of the chosen architecture and activation.

    Its weights come from Keras's global generator: call `keras.utils.set_random_seed` before.
    """
    image = keras.Input((28, 28, 1), name="image")
    if options.architecture is Architecture.MLP:
        features = _mlp(image, options.activation)
    else:
        features = _cnn(image, options.activation)
    probabilities = layers.Dense(10, activation="softmax", name="probabilities")(features)
    return keras.Model(image, probabilities, name=options.architecture.value)


def _mlp(image: keras.KerasTensor, activation: Activation) -> keras.KerasTensor:
    """The classic: 784 pixels, 512 hidden units."""
    pixels = layers.Flatten(name="pixels")(image)  # (N, 784)
    return layers.Dense(512, activation=activation.value, name="hidden")(pixels)  # (N, 512)


def _cnn(image: keras.KerasTensor, activation: Activation) -> keras.KerasTensor:
    """Five convolutions: 165 thousand weights, 4 million multiplications an image.

    The stem reads 6×6 pixels two steps apart: the usual 3×3 stem spends most of a network's work at full
    resolution. Convolutions without padding use up the empty margin of MNIST's digits.
    """
    maps = _convolution(image, 32, 6, activation, strides=2)  # (N, 12, 12, 32)
    maps = _convolution(maps, 48, 3, activation)  # (N, 10, 10, 48)
    maps = _convolution(maps, 48, 3, activation)  # (N, 8, 8, 48)
    maps = layers.MaxPooling2D(2)(maps)  # (N, 4, 4, 48)
    maps = _convolution(maps, 96, 3, activation, padding="same")  # (N, 4, 4, 96)
    maps = _convolution(maps, 96, 3, activation)  # (N, 2, 2, 96)
    return layers.Dropout(DROPOUT)(layers.Flatten()(maps))  # (N, 384)


def _convolution(
    maps: keras.KerasTensor,
    channels: int,
    size: int,
    activation: Activation,
    strides: int = 1,
    padding: str = "valid",
) -> keras.KerasTensor:
    """Convolve, normalise over the batch, activate. The normalisation brings its own bias."""
    maps = layers.Conv2D(channels, size, strides=strides, padding=padding, use_bias=False)(maps)
    # Keras's default of 0.99 follows the features too slowly for runs of a few hundred steps.
    maps = layers.BatchNormalization(momentum=0.9)(maps)
    return layers.Activation(activation.value)(maps)
