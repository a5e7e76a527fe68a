"""Predictions straight from gRPC's queue, and the same without it, where gRPC is not a known one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from digits.oip import open_inference_pb2, open_inference_pb2_grpc
from digits.v1 import prediction_pb2 as pb
from digits.v1 import prediction_pb2_grpc
from google.rpc import error_details_pb2, status_pb2

DIGIT = bytes(200) + bytes([255] * 200) + bytes(384)
IMAGE = pb.Image(pixels=DIGIT)
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1]}
WITHOUT = "no direct calls: all are answered by grpc.aio, which takes longer"
# Python imports it at every start: a gRPC that nobody has tried.
UNKNOWN_GRPC = "import server.rpc.call_queue\nserver.rpc.call_queue.KNOWN_VERSIONS = ('0.0.',)\n"
# The same with faults in what calls meet on the way in, and in what looks at their requests.
FAULTY = """
from server.rpc import entrance, prediction
request_id, ask = entrance.request_id, prediction.PredictionServicer.ask_predict
def faulty_id(metadata):
    return request_id(metadata) if ("x-fault", "yes") not in map(tuple, metadata) else {}["fault"]
def faulty_ask(servicer, request):
    return ask(servicer, request) if request.model_version != 77 else {}["fault"]
entrance.request_id, prediction.PredictionServicer.ask_predict = faulty_id, faulty_ask
"""


@pytest.fixture(scope="module")
def plain(launch_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that does not know its gRPC."""
    folder: Path = tmp_path_factory.mktemp("path")
    (folder / "sitecustomize.py").write_text(UNKNOWN_GRPC)
    return launch_server(DIGITS_MNIST="", PYTHONPATH=str(folder))


@pytest.fixture(scope="module")
def faulty(launch_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with faults."""
    folder: Path = tmp_path_factory.mktemp("path")
    (folder / "sitecustomize.py").write_text(FAULTY)
    return launch_server(DIGITS_MNIST="", PYTHONPATH=str(folder))


@pytest.fixture(params=["straight", "through grpc.aio"])
def channel(request: pytest.FixtureRequest, live_server: Any, plain: Any) -> Any:
    """A channel to a server of either kind."""
    with (live_server if request.param == "straight" else plain).channel() as channel:
        yield channel


def test_the_locked_grpc_is_a_known_one(live_server: Any) -> None:
    assert live_server.event(WITHOUT) is None


def test_an_unknown_grpc_is_told_in_the_log(plain: Any) -> None:
    assert "expected grpcio 0.0." in plain.event(WITHOUT)["reason"]


def test_both_ways_read_a_digit_and_bring_back_the_id_of_the_call(channel: grpc.Channel) -> None:
    predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
    metadata = (("x-request-id", "mine"),)
    reply, call = predict.with_call(pb.PredictRequest(image=IMAGE), timeout=20, metadata=metadata)
    assert (reply.model_version, reply.prediction.model_input) == (1, DIGIT)
    assert sum(reply.prediction.probabilities) == pytest.approx(1, abs=1e-3)
    assert reply.timings.total_ms >= reply.timings.engine_ms > 0
    assert dict(call.trailing_metadata())["x-request-id"] == "mine"


def test_both_ways_speak_the_open_inference_protocol(channel: grpc.Channel) -> None:
    infer = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
    request = open_inference_pb2.ModelInferRequest(
        model_name="digits", id="mine", inputs=[TENSOR], raw_input_contents=[DIGIT]
    )
    reply = infer(request, timeout=20)
    assert (reply.model_name, reply.model_version, reply.id) == ("digits", "1", "mine")
    assert [(each.name, each.datatype, list(each.shape)) for each in reply.outputs] == [
        ("probabilities", "FP32", [1, 10]),
        ("digit", "INT64", [1]),
    ]
    probabilities, digit = reply.raw_output_contents
    assert np.frombuffer(digit, "<i8") == np.frombuffer(probabilities, "<f4").argmax()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.PredictRequest(image=pb.Image(pixels=bytes(784))).SerializeToString(), "BLANK_IMAGE"),
        (pb.PredictRequest(image=IMAGE, model_version=99).SerializeToString(), "MODEL_NOT_FOUND"),
        (b"\xff\xff", "MALFORMED_REQUEST"),
    ],
)
def test_both_ways_tell_what_is_wrong(channel: grpc.Channel, request_: bytes, reason: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/digits.v1.PredictionService/Predict")(request_, timeout=20)
    metadata = dict(raised.value.trailing_metadata())
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(metadata["grpc-status-details-bin"]).details[0].Unpack(info)
    assert info.reason == reason
    assert metadata["x-request-id"]


def test_both_ways_end_a_call_that_sends_no_request_at_all(channel: grpc.Channel) -> None:
    call = channel.stream_unary("/digits.v1.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as raised:
        call(iter(()), timeout=20)
    assert raised.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED


def test_requests_of_two_versions_that_wait_together_are_each_answered_by_theirs(
    launch_server: Any, add_version: Any
) -> None:
    server = launch_server(DIGITS_MNIST="")
    second = add_version(server)
    with server.channel() as channel:
        predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
        # As many at a time as are never refused.
        for _ in range(8):
            calls = [
                (version, predict.future(pb.PredictRequest(image=IMAGE, model_version=version), timeout=60))
                for version in (1, second, 0) * 6
            ]
            for version, call in calls:
                assert call.result().model_version == (version or 1)


@pytest.mark.parametrize(
    "asked",
    [{"metadata": (("x-fault", "yes"),)}, {"request": pb.PredictRequest(image=IMAGE, model_version=77)}],
)
def test_a_bug_that_one_call_meets_ends_that_call_and_no_other(faulty: Any, asked: dict[str, Any]) -> None:
    with faulty.channel() as channel:
        predict = prediction_pb2_grpc.PredictionServiceStub(channel).Predict
        usual = {"request": pb.PredictRequest(image=IMAGE), "timeout": 20}
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                predict(**usual | asked)
            assert refused.value.code() is grpc.StatusCode.INTERNAL
            assert "fault" not in refused.value.details()
            assert predict(**usual).model_version == 1
    assert faulty.event("bug")
