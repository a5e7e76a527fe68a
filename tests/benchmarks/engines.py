"""Compare engines on the shipped model: milliseconds at batch 1, 8 and 64 on one thread, and accuracy.

    DIGITS_MNIST=mnist.npz python tests/benchmarks/engines.py

ONNX Runtime as it serves, and with 8-bit weights (dynamic) or 8-bit weights and activations (static,
calibrated on training digits); LiteRT in float32 and with 8-bit weights. It prints the table of
docs/serving.md.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BATCHES = (1, 8, 64)
ROUNDS = 5
SHIPPED = Path(__file__).resolve().parents[2] / "server" / "shipped"

Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def onnx_runtime(path: Path) -> Run:
    """The engine as the server sets it up."""
    import onnxruntime

    from server.inference.engine import session_options

    session = onnxruntime.InferenceSession(path, session_options(1), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0])


def quantised(path: Path, calibration: npt.NDArray[np.float32], out: Path) -> Path:
    """An ONNX model with 8-bit weights, and activations too where there are `calibration` images."""
    from onnxruntime import quantization

    if not len(calibration):
        quantization.quantize_dynamic(path, out, weight_type=quantization.QuantType.QInt8)
        return out
    import onnx

    name = onnx.load(path).graph.input[0].name

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(np.array_split(calibration, 10))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else {name: batch}

    quantization.quantize_static(
        path, out, Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True
    )
    return out


def lite_rt(is_quantised: bool) -> Run:
    """LiteRT on the Keras model; one interpreter for each batch size, as its shapes are fixed."""
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = keras.saving.load_model(SHIPPED / "model.keras", compile=False)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if is_quantised:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = converter.convert()
    interpreters: dict[int, Any] = {}

    def made_for(batch: int) -> Any:
        if batch not in interpreters:
            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.resize_tensor_input(
                interpreter.get_input_details()[0]["index"], (batch, *model.input_shape[1:])
            )
            interpreter.allocate_tensors()
            interpreters[batch] = interpreter
        return interpreters[batch]

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        interpreter = made_for(len(images))
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))

    return run


def measure(engines: dict[str, Run], images: npt.NDArray[np.float32]) -> dict[str, list[float]]:
    """Median milliseconds of each engine at each batch size, over rounds in which all take turns."""
    taken: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for batch in BATCHES:
            for name, run in engines.items():
                run(images[:batch])
                for _ in range(max(5, 200 // batch)):
                    started = time.perf_counter()
                    run(images[:batch])
                    taken.setdefault((name, batch), []).append(time.perf_counter() - started)
    return {name: [statistics.median(taken[name, batch]) * 1e3 for batch in BATCHES] for name in engines}


def accuracy(run: Run, images: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> float:
    """The share of digits that it reads right."""
    answers = [run(images[start : start + 100]).argmax(axis=1) for start in range(0, len(images), 100)]
    return float((np.concatenate(answers) == labels).mean())


def main() -> int:
    with np.load(os.environ["DIGITS_MNIST"]) as mnist:
        images = (mnist["x_test"][..., np.newaxis] / np.float32(255)).astype(np.float32)
        labels = mnist["y_test"]
        calibration = (mnist["x_train"][:500, ..., np.newaxis] / np.float32(255)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = SHIPPED / "model.onnx"
        engines = {
            "ONNX Runtime, float32": onnx_runtime(model),
            "ONNX Runtime, 8-bit weights": onnx_runtime(
                quantised(model, calibration[:0], folder / "dynamic.onnx")
            ),
            "ONNX Runtime, 8-bit": onnx_runtime(quantised(model, calibration, folder / "static.onnx")),
            "LiteRT, float32": lite_rt(is_quantised=False),
            "LiteRT, 8-bit weights": lite_rt(is_quantised=True),
        }
        times = measure(engines, images)
        print("| engine | 1 image | 8 images | 64 images | accuracy |\n|---|---|---|---|---|")
        for name_, run in engines.items():
            cells = " | ".join(f"{ms:.3f} ms" for ms in times[name_])
            print(f"| {name_} | {cells} | {accuracy(run, images, labels):.2%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
