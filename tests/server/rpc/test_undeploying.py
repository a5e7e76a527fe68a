"""A server whose version was taken away, by the Open Inference Protocol, and given back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from digits.oip import open_inference_pb2 as pb
from digits.oip import open_inference_pb2_grpc
from digits.v1 import prediction_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

PREDICTION = "digits.v1.PredictionService"
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    return launch_server(DIGITS_MNIST="")


def await_health(channel: grpc.Channel, expected: int) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    deadline = time.monotonic() + DEADLINE_S
    while stub.Check(health_pb2.HealthCheckRequest(service=PREDICTION), timeout=5).status != expected:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_health_and_predictions_follow(
    server: Any, stubs_of: Callable[[Any], Any], refused: Callable[..., Any]
) -> None:
    stubs = stubs_of(server)
    inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(stubs.channel)
    image = prediction_pb2.PredictRequest(image=prediction_pb2.Image(pixels=b"\xff" * 784))
    await_health(stubs.channel, health_pb2.HealthCheckResponse.SERVING)

    inference.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="digits"), timeout=10)

    await_health(stubs.channel, health_pb2.HealthCheckResponse.NOT_SERVING)
    assert refused(stubs.prediction.Predict, image).code is grpc.StatusCode.FAILED_PRECONDITION
    assert not inference.ServerReady(pb.ServerReadyRequest(), timeout=10).ready

    inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="digits"), timeout=10)

    await_health(stubs.channel, health_pb2.HealthCheckResponse.SERVING)
    assert stubs.prediction.Predict(image, timeout=10).model_version == 1
