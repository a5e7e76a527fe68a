"""From a trained network to the two files of a version, checked to be the same network."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

import keras
import numpy as np

from server.inference import Engine
from server.models import ARTIFACT, KERAS_MODEL

# Two libraries add the same numbers in another order; a wrong layout or a lost layer differs by a thousand
# times more.
TOLERANCE = 1e-4


class ExportMismatch(Exception):
    """The artifact does not answer as the network does."""


def import_exporter() -> None:
    """Import what `export` needs and nothing before it does; for a thread, while the network learns."""
    # Whatever is wrong with it, `export` will say so.
    with contextlib.suppress(ImportError):
        importlib.import_module("tf2onnx")


def export(model: keras.Model, staging: Path, images: np.ndarray, threads: int) -> Engine:
    """Write `model.keras` and `model.onnx` into `staging`, and return the engine that runs the latter.

    `images` (N, 28, 28) uint8 are read by both: raises ExportMismatch when their probabilities differ.
    """
    pixels = images.astype(np.float32)[..., np.newaxis] / np.float32(255)
    expected = model(pixels, training=False).numpy()  # Before the export, which wants a network in use.
    model.save(staging / KERAS_MODEL)  # Never compiled: no optimizer's state goes with it.
    model.export(str(staging / ARTIFACT), format="onnx", verbose=False)
    engine = Engine(staging / ARTIFACT, threads)
    difference = float(np.abs(engine.probabilities(images) - expected).max())
    if not difference <= TOLERANCE:
        raise ExportMismatch(
            f"expected the artifact's probabilities within {TOLERANCE:g} of the network's, "
            f"got a difference of {difference:.3g}"
        )
    return engine
