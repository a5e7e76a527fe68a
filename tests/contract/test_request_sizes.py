"""A request has no more than a request may have: in bytes, in parts, and in number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from digits.oip import open_inference_pb2 as oip
from digits.v1 import prediction_pb2 as prediction
from google.protobuf.message import Message

from server.rpc.sizes import MAX_PARTS, SMALL_BYTES, is_bloated, max_bytes

PREDICTION, INFERENCE = "/digits.v1.PredictionService", "/inference.GRPCInferenceService"
MIB = 2**20
BATCH = prediction.BatchPredictRequest.DESCRIPTOR
INFER = oip.ModelInferRequest.DESCRIPTOR


def tag(message: type[Message], field: str, kind: int = 2) -> bytes:
    return bytes([message.DESCRIPTOR.fields_by_name[field].number << 3 | kind])


def sized(first: bytes, content: bytes) -> bytes:
    """A field of some length: its tag, its length, its bytes."""
    length, encoded = len(content), b""
    while True:
        length, low = length >> 7, length & 0x7F
        encoded += bytes([low | (0x80 if length else 0)])
        if not length:
            return first + encoded + content


def test_a_whole_batch_of_any_form_is_no_more_than_a_request_may_be() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, 784 * 1024, np.uint8)
    image = prediction.Image(encoded=bytes(3000))
    batch = prediction.BatchPredictRequest(images=[image] * 1024)
    shape = [1024, 28, 28, 1]
    typed = oip.ModelInferRequest(inputs=[{"name": "image", "datatype": "UINT8", "shape": shape}])
    typed.inputs[0].contents.uint_contents.extend(pixels.tolist())
    floats = oip.ModelInferRequest(inputs=[{"name": "image", "datatype": "FP32", "shape": shape}])
    floats.inputs[0].contents.fp32_contents.extend((pixels / 255).tolist())
    files = oip.ModelInferRequest(inputs=[{"name": "encoded", "datatype": "BYTES", "shape": [1024]}])
    files.inputs[0].contents.bytes_contents.extend([bytes(3000)] * 1024)
    for request in (batch, typed, floats, files):
        data = request.SerializeToString()
        assert len(data) > SMALL_BYTES
        assert not is_bloated(data, request.DESCRIPTOR)


INPUT = tag(oip.ModelInferRequest, "inputs")
TENSOR = oip.ModelInferRequest.InferInputTensor
CONTENTS = tag(TENSOR, "contents")
FILES, PIXELS = (tag(oip.InferTensorContents, name) for name in ("bytes_contents", "uint_contents"))
BLOATED = {
    "empty images": (b"\x0a\x00" * 30 * MIB, BATCH),
    "empty inputs": (INPUT + b"\x00" + (INPUT + b"\x00") * 30 * MIB, INFER),
    "numbers that no field has": (b"\x78\x01" * 30 * MIB, BATCH),
    "a shape of millions": (sized(INPUT, sized(tag(TENSOR, "shape"), b"\x01" * 60 * MIB)), INFER),
    "empty files": (sized(INPUT, sized(CONTENTS, (FILES + b"\x00") * MAX_PARTS)), INFER),
    "pixels for a hundred batches": (
        sized(INPUT, sized(CONTENTS, sized(PIXELS, b"\x01" * 9 * MIB))),
        INFER,
    ),
    "parts in an image": (sized(b"\x0a", b"\x12\x00" * MIB), BATCH),
}


@pytest.mark.parametrize("name", BLOATED)
def test_bytes_that_would_become_far_more_parts_are_found_before_they_are_parsed(name: str) -> None:
    data, message = BLOATED[name]
    started = time.thread_time()
    assert is_bloated(data, message)
    # To parse them takes seconds, and gigabytes.
    assert time.thread_time() - started < 0.3


def test_what_breaks_off_is_left_to_the_parser() -> None:
    whole = sized(INPUT, sized(CONTENTS, sized(PIXELS, bytes(300))))
    for end in range(len(whole)):
        assert not is_bloated(whole[:end], INFER)
    for data in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 100, b""):
        assert not is_bloated(data, BATCH)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (f"{PREDICTION}/BatchPredict", 64 * MIB),
        (f"{INFERENCE}/ModelInfer", 64 * MIB),
        (f"{PREDICTION}/Predict", 8 * MIB),
        ("/digits.v1.SampleService/ImportSamples", 8 * MIB),
        ("/digits.v1.ModelService/GetModel", MIB),
        ("/grpc.health.v1.Health/Check", MIB),
    ],
)
def test_a_message_beyond_the_limit_of_its_method_is_refused_and_told_the_limit(
    any_server: Any, told: Callable[..., Any], path: str, limit: int
) -> None:
    assert max_bytes(path) == limit
    with any_server.channel() as channel:
        refused = told(channel, path, bytes(limit + 1), timeout=60)
    assert refused.reason == "MESSAGE_TOO_LARGE"
    assert f"at most {limit // MIB} MiB" in refused.message
    assert refused.details["ErrorInfo"].metadata["limit_bytes"] == str(limit)


@pytest.mark.parametrize("name", ["empty images", "a shape of millions"])
def test_a_bloated_batch_is_refused(any_server: Any, told: Callable[..., Any], name: str) -> None:
    data, message = BLOATED[name]
    path = f"{PREDICTION}/BatchPredict" if message is BATCH else f"{INFERENCE}/ModelInfer"
    with any_server.channel() as channel:
        refused = told(channel, path, data, timeout=60)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "1,024 images at most" in refused.message


def test_a_shape_of_many_sizes_is_refused_with_the_first_of_them(
    any_server: Any, told: Callable[..., Any]
) -> None:
    request = oip.ModelInferRequest(
        model_name="digits",
        inputs=[{"name": "image", "datatype": "UINT8", "shape": [1] * 500_000}],
        raw_input_contents=[b""],
    )
    with any_server.channel() as channel:
        refused = told(channel, f"{INFERENCE}/ModelInfer", request)
    assert [one.field for one in refused.details["BadRequest"].field_violations] == ["inputs[0].shape"]
    assert refused.message.endswith("got [1,1,1,1,1,1,1,1,…]")


@pytest.mark.parametrize(
    "path",
    [
        f"{PREDICTION}/Predict",
        f"{PREDICTION}/BatchPredict",
        "/digits.v1.TrainingService/WatchTraining",
        "/digits.v1.ModelService/ListModels",
        f"{INFERENCE}/ServerLive",
        "/grpc.health.v1.Health/Check",
    ],
)
def test_a_caller_who_ends_without_a_request_is_told_so(any_server: Any, told_by: Any, path: str) -> None:
    with any_server.channel() as channel, pytest.raises(grpc.RpcError) as ended:
        list(channel.stream_stream(path)(iter([]), timeout=60))
    assert told_by(ended.value).reason == "MALFORMED_REQUEST"
