"""Every form that a version is exported in, opened by the software that it is for, answers as the artifact.

One program converts for all, and TensorFlow is here already.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from digits.v1 import model_pb2 as pb
from digits.v1 import model_pb2_grpc

from server.datasets import Data
from server.inference import Engine

# Two libraries add the same numbers in another order. Without its calibration a version differs by 1e-2.
TOLERANCE = 1e-5
# A conversion takes 10 s; other tests may have both cores.
TIMEOUT_S = 300

FORMATS = {
    "keras": pb.EXPORT_FORMAT_KERAS,
    "saved_model": pb.EXPORT_FORMAT_SAVED_MODEL,
    "tflite": pb.EXPORT_FORMAT_TFLITE,
    "onnx": pb.EXPORT_FORMAT_ONNX,
}

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:In the future `np.object`:FutureWarning",
    "ignore:.*tf.lite.Interpreter is deprecated:UserWarning",
)


@dataclass(frozen=True)
class Exported:
    """What came out of a stream."""

    header: pb.ExportHeader
    path: Path
    """The file, by the name that the header gives it."""


def read_stream(stub: Any, form: int, folder: Path) -> Exported:
    request = pb.ExportModelRequest(model_version=1, format=form)  # type: ignore[arg-type]
    first, *others = stub.ExportModel(request, timeout=TIMEOUT_S)
    data = b"".join(one.chunk for one in others)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (first.header.bytes, first.header.sha256)
    assert all(len(one.chunk) <= 64 * 2**10 for one in others)
    path = folder / first.header.file_name
    path.write_bytes(data)
    return Exported(first.header, path)


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    return launch_server(DIGITS_MNIST="")


@pytest.fixture(scope="module")
def exported(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Exported]:
    """The shipped version in every form, all asked for at once, the converted ones twice."""
    folders = [tmp_path_factory.mktemp("exported") for _ in range(2)]
    asked = [*FORMATS.items(), ("saved_model", FORMATS["saved_model"]), ("tflite", FORMATS["tflite"])]
    with server.channel() as channel, ThreadPoolExecutor(len(asked)) as pool:
        stub = model_pb2_grpc.ModelServiceStub(channel)
        # One that begins the conversion and does not wait for it: the others get what it has asked for.
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.ExportModel(pb.ExportModelRequest(format=FORMATS["tflite"]), timeout=0.5))
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        jobs = [
            (name, pool.submit(read_stream, stub, form, folders[index // len(FORMATS)]))
            for index, (name, form) in enumerate(asked)
        ]
        return {name: job.result() for name, job in jobs}


@pytest.fixture(scope="module")
def pixels(builtin_data: Data) -> np.ndarray:
    """(64, 28, 28, 1) float32 in [0, 1]: real digits."""
    images = builtin_data.split(use_all=False).test.images[:64]
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def expected(server: Any, builtin_data: Data) -> np.ndarray:
    """What the artifact that serves reads in them: calibrated probabilities."""
    described = json.loads((server.data / "models" / "000001" / "version.json").read_text())
    assert described["temperature"] != 1.0  # Or to agree would not show that it went along.
    images = builtin_data.split(use_all=False).test.images[:64]
    return Engine(server.data / "models" / "000001" / "model.onnx").probabilities(images)


@pytest.fixture
def expect_equal(expected: np.ndarray) -> Callable[[Any], None]:
    def check(answers: Any) -> None:
        np.testing.assert_allclose(np.asarray(answers), expected, atol=TOLERANCE)

    return check


def test_all_who_ask_share_one_conversion(server: Any, exported: Mapping[str, Exported]) -> None:
    assert server.log.read_text().count('"version converted"') == 1
    names = {name: one.header.file_name for name, one in exported.items()}
    assert names == {
        "keras": "digits-1.keras",
        "saved_model": "digits-1-saved-model.zip",
        "tflite": "digits-1.tflite",
        "onnx": "digits-1.onnx",
    }
    # Nothing of it is in the version's own folder, and nothing of the program is left.
    assert not list((server.data / "models" / "000001").glob("saved*"))
    assert not list((server.data / "exports").glob(".*"))


def test_keras_reads_its_file(
    exported: Mapping[str, Exported], pixels: np.ndarray, expect_equal: Callable[[Any], None]
) -> None:
    model = keras.saving.load_model(exported["keras"].path)
    expect_equal(model(pixels, training=False))


def test_tensorflow_serving_finds_its_layout_and_tensorflow_reads_it(
    exported: Mapping[str, Exported],
    pixels: np.ndarray,
    expect_equal: Callable[[Any], None],
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(exported["saved_model"].path) as archive:
        assert {"digits/1/saved_model.pb", "digits/1/variables/variables.index"} <= set(archive.namelist())
        archive.extractall(tmp_path)
    model = tf.saved_model.load(str(tmp_path / "digits" / "1"))
    (answer,) = model.signatures["serving_default"](image=tf.constant(pixels)).values()
    expect_equal(answer)


def test_tensorflow_lite_reads_its_file(
    exported: Mapping[str, Exported], pixels: np.ndarray, expect_equal: Callable[[Any], None]
) -> None:
    interpreter = tf.lite.Interpreter(str(exported["tflite"].path))
    image, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(image["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image["index"], pixels)
    interpreter.invoke()
    expect_equal(interpreter.get_tensor(answer["index"]))


def test_onnx_runtime_reads_the_very_artifact(
    server: Any, exported: Mapping[str, Exported], pixels: np.ndarray, expect_equal: Callable[[Any], None]
) -> None:
    session = onnxruntime.InferenceSession(exported["onnx"].path, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: pixels})
    expect_equal(answer)
    artifact = server.data / "models" / "000001" / "model.onnx"
    assert exported["onnx"].path.read_bytes() == artifact.read_bytes()


def test_what_was_converted_once_is_there_at_once_also_after_a_crash(
    server: Any, exported: Mapping[str, Exported], tmp_path: Path
) -> None:
    server.kill()
    server.start()
    with server.channel() as channel:
        again = read_stream(model_pb2_grpc.ModelServiceStub(channel), FORMATS["saved_model"], tmp_path)
    assert again.header == exported["saved_model"].header
    assert server.log.read_text().count('"version converted"') == 1
