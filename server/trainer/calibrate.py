"""A trained network's probabilities made honest: its last layer takes up the fitted temperature."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from server.calibration import Calibration, calibrate
from server.datasets import Digits

READ_AT_ONCE = 500


def calibrate_network(model: keras.Model, kinds: Sequence[Digits]) -> Calibration:
    """Divide the logits of `model`, in place, by the temperature that fits the validation digits.

    `kinds`: validation digits, those of each origin together, such as MNIST's and pen strokes.

    The weights and the bias of its last layer, a `Dense` with softmax, are divided, so that the artifact made
    from it gives honest probabilities by itself; the most probable digit stays. Without validation digits
    nothing changes, and the calibration is the neutral one.
    """
    if not kinds:
        return Calibration()
    calibration = calibrate([(read_network(model, digits.images), digits.labels) for digits in kinds])
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        raise TypeError(f"expected a Dense layer with softmax at the end, got {last}")
    last.set_weights([weights / np.float32(calibration.temperature) for weights in last.get_weights()])
    return calibration


def read_network(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The network's answers, without dropout: (N, 28, 28) uint8 -> (N, 10) float32."""
    answers = []
    for start in range(0, len(images), READ_AT_ONCE):
        pixels = images[start : start + READ_AT_ONCE, ..., np.newaxis].astype(np.float32) / np.float32(255)
        answers.append(np.asarray(model(pixels, training=False)))
    return np.concatenate(answers)
