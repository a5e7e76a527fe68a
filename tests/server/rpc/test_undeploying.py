"""A server whose version was taken away, by the Open Inference Protocol, and given back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from digits.oip import open_inference_pb2 as pb
from digits.oip import open_inference_pb2_grpc
from digits.v1 import model_pb2, prediction_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

PREDICTION = "digits.v1.PredictionService"
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Callable[..., Any]) -> Any:
    return launch_server(DIGITS_MNIST="")


def await_health(channel: grpc.Channel, expected: int) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    deadline = time.monotonic() + DEADLINE_S
    while stub.Check(health_pb2.HealthCheckRequest(service=PREDICTION), timeout=60).status != expected:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_health_and_predictions_follow(
    server: Any, stubs_of: Callable[[Any], Any], refused: Callable[..., Any]
) -> None:
    stubs = stubs_of(server)
    inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(stubs.channel)
    image = prediction_pb2.PredictRequest(image=prediction_pb2.Image(pixels=b"\xff" * 784))
    await_health(stubs.channel, health_pb2.HealthCheckResponse.SERVING)

    inference.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="digits"), timeout=60)

    await_health(stubs.channel, health_pb2.HealthCheckResponse.NOT_SERVING)
    assert refused(stubs.prediction.Predict, image).code is grpc.StatusCode.FAILED_PRECONDITION
    assert not inference.ServerReady(pb.ServerReadyRequest(), timeout=60).ready

    inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="digits"), timeout=60)

    await_health(stubs.channel, health_pb2.HealthCheckResponse.SERVING)
    assert stubs.prediction.Predict(image, timeout=60).model_version == 1


def test_the_list_of_deployments_tells_of_it_and_replicas_follow(
    server: Any, stubs_of: Callable[[Any], Any], launch_server: Callable[..., Any]
) -> None:
    stubs, replica = stubs_of(server), stubs_of(launch_server("--read-only", data=server.data))
    inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(stubs.channel)

    inference.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="digits"), timeout=60)

    newest = stubs.model.ListDeployments(model_pb2.ListDeploymentsRequest(page_size=1), timeout=60)
    (entry,) = newest.deployments
    assert (entry.model_version, entry.action) == (1, model_pb2.DEPLOYMENT_ACTION_UNDEPLOYED)
    assert entry.cause == "asked for by RepositoryModelUnload"
    await_health(replica.channel, health_pb2.HealthCheckResponse.NOT_SERVING)

    inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="digits"), timeout=60)

    await_health(replica.channel, health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize(
    "config",
    [
        "no JSON",
        "[]",
        "[" * 200_000,
        '{"version_policy": {"specific": {"versions": [Infinity]}}}',
        '{"version_policy": {"specific": {"versions": [NaN]}}}',
        '{"version_policy": {"specific": {"versions": [{}]}}}',
        '{"version_policy": {"specific": {"versions": ["' + "9" * 5000 + '"]}}}',
    ],
    ids=lambda config: config[-30:],
)
def test_a_configuration_that_is_none_is_refused_by_its_field(
    server: Any, stubs_of: Callable[[Any], Any], refused: Callable[..., Any], config: str
) -> None:
    inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(stubs_of(server).channel)
    parameter = pb.ModelRepositoryParameter(string_param=config)
    request = pb.RepositoryModelLoadRequest(model_name="digits", parameters={"config": parameter})
    told = refused(inference.RepositoryModelLoad, request)
    assert (told.code, told.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["parameters.config"])


@pytest.mark.parametrize("version", ["2147483648", "9" * 300, "9" * 5000, "-1", "²", "1\n"])
def test_a_version_of_any_length_is_not_found(
    server: Any, stubs_of: Callable[[Any], Any], refused: Callable[..., Any], version: str
) -> None:
    inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(stubs_of(server).channel)
    inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="digits"), timeout=60)
    request = pb.ModelMetadataRequest(name="digits", version=version)
    assert refused(inference.ModelMetadata, request).code is grpc.StatusCode.NOT_FOUND
    assert not inference.ModelReady(pb.ModelReadyRequest(name="digits", version=version), timeout=60).ready
    if version.isascii() and version.isdecimal():
        config = json.dumps({"version_policy": {"specific": {"versions": [version[:4000]]}}})
        parameter = pb.ModelRepositoryParameter(string_param=config)
        load = pb.RepositoryModelLoadRequest(model_name="digits", parameters={"config": parameter})
        assert refused(inference.RepositoryModelLoad, load).code is grpc.StatusCode.NOT_FOUND
