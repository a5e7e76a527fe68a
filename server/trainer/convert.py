"""`python -m server.trainer.convert --model … --artifact … --out …`: a version for other software.

From a version's `model.keras` it writes into a folder that is there:

    saved_model.zip    TensorFlow's SavedModel in TensorFlow Serving's layout, `digits/1/…`
    model.tflite       for LiteRT, as TensorFlow Lite is called now

Both are read back and must answer as the version's artifact does, or the program ends with exit code 1. It
ends too when its standard input closes: with the server that started it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.inference import Engine
from server.lifeline import end_with_stdin
from server.trainer.lean import leave_out_the_unused

SAVED_MODEL = "saved_model.zip"
TFLITE = "model.tflite"
# Where TensorFlow Serving looks for the first version of a model called digits.
SERVING = Path("digits") / "1"

# Predictions take the processor from a conversion, never the other way round.
NICENESS = 10
COMPARED_IMAGES = 32
# Libraries add the same numbers in another order; a lost calibration differs by a thousand times more.
TOLERANCE = 1e-5


class ConversionMismatch(Exception):
    """What was written does not answer as the artifact does."""


def main(arguments: list[str] | None = None) -> int:
    """Convert as told. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m server.trainer.convert", description=__doc__)
    for name in ("model", "artifact", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    end_with_stdin()
    os.nice(NICENESS)
    leave_out_the_unused()
    convert(chosen.model, chosen.artifact, chosen.out)
    return 0


def convert(model_file: Path, artifact: Path, out: Path) -> None:
    """Write both files. Raises ConversionMismatch when one of them answers otherwise than the artifact."""
    # They take seconds: only now, when the end of the server is watched for.
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # Any pictures tell two networks apart, as long as they are not all alike.
    images = np.random.default_rng(1).integers(0, 256, (COMPARED_IMAGES, 28, 28), np.uint8)
    images[images < 200] = 0
    expected = Engine(artifact).probabilities(images)
    pixels = images.astype(np.float32)[..., np.newaxis] / np.float32(255)  # (N, 28, 28, 1)

    model = keras.saving.load_model(model_file, compile=False, safe_mode=True)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / SERVING
        model.export(str(saved), format="tf_saved_model", verbose=False)
        # Held by a name: what it computes with goes with it.
        reloaded = tf.saved_model.load(str(saved))
        _expect_equal("SavedModel", reloaded.serve(pixels).numpy(), expected)
        flat = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
        (out / TFLITE).write_bytes(flat)
        _expect_equal("TFLite", _read_tflite(tf, flat, pixels), expected)
        with zipfile.ZipFile(out / SAVED_MODEL, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in saved.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(folder))


def _read_tflite(tf: Any, flat: bytes, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    interpreter = tf.lite.Interpreter(model_content=flat)
    image, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(image["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image["index"], pixels)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(answer["index"]))


def _expect_equal(form: str, answers: npt.NDArray[Any], expected: npt.NDArray[np.float32]) -> None:
    difference = float(np.abs(answers - expected).max())
    if not difference <= TOLERANCE:
        raise ConversionMismatch(
            f"expected the {form}'s probabilities within {TOLERANCE:g} of the artifact's, "
            f"got a difference of {difference:.3g}"
        )


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # TensorFlow's own teardown takes a second, and there is nothing left to save.
    os._exit(code)
