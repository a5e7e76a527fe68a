"""Replicas over live channels: they share the work, follow a deployment, and refuse what is not theirs."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from digits.v1 import evaluation_pb2, model_pb2, prediction_pb2, training_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE_S = 60.0
CALLS = 300
DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
REQUEST = prediction_pb2.PredictRequest(image=DIGIT)
ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


@pytest.fixture(scope="module")
def owner(launch_server: Any) -> Any:
    """The server that owns the data, with a second version like the first."""
    server = launch_server(DIGITS_MNIST="")
    models = server.data / "models"
    shutil.copytree(models / "000001", models / "000002")
    server.stop()
    server.start()
    return server


@pytest.fixture(scope="module")
def replicas(owner: Any, launch_server: Any) -> list[Any]:
    """Three of its replicas."""
    return [launch_server("--read-only", data=owner.data) for _ in range(3)]


@pytest.fixture(scope="module")
def balanced(replicas: list[Any], stubs_of: Any) -> Iterator[Any]:
    """One channel to all three, as a name with three addresses in DNS would give it."""
    addresses = ",".join(replica.address for replica in replicas)
    options = [("grpc.service_config", ROUND_ROBIN), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"ipv4:{addresses}", options=options) as channel:
        yield type(stubs_of(replicas[0]))(channel)


@pytest.fixture
def stubs_of_a_replica(replicas: list[Any], stubs_of: Any) -> Any:
    """The services of one of them."""
    return stubs_of(replicas[0])


def test_a_replica_reads_numbers(stubs_of_a_replica: Any, seven_png: bytes) -> None:
    request = prediction_pb2.ReadNumberRequest(encoded=seven_png)
    assert stubs_of_a_replica.prediction.ReadNumber(request, timeout=60).text == "7"


def test_a_replica_predicts_in_every_form_that_its_owner_does(stubs_of_a_replica: Any) -> None:
    prediction = stubs_of_a_replica.prediction
    single = prediction.Predict(REQUEST, timeout=60)
    batch = prediction.BatchPredict(prediction_pb2.BatchPredictRequest(images=[DIGIT] * 3), timeout=60)
    request = prediction_pb2.StreamPredictRequest(image=DIGIT)
    stream = list(prediction.StreamPredict(iter([request] * 3), timeout=60))
    digits = {single.prediction.digit, *(one.digit for one in batch.predictions)}
    assert digits == {one.prediction.digit for one in stream}


def test_a_replica_tells_of_the_versions_as_its_owner_does(
    owner: Any, stubs_of: Any, stubs_of_a_replica: Any
) -> None:
    for method, request in (
        ("GetModel", model_pb2.GetModelRequest(model_version=1)),
        ("ListModels", model_pb2.ListModelsRequest()),
    ):
        theirs = getattr(stubs_of(owner).model, method)(request, timeout=60)
        ours = getattr(stubs_of_a_replica.model, method)(request, timeout=60)
        for model in [theirs.model, ours.model] if method == "GetModel" else [*theirs.models, *ours.models]:
            model.evaluation.evaluation_id = ""  # It is of the owner's database.
        assert ours == theirs


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("training", "StartTraining", training_pb2.StartTrainingRequest(recipe="classic")),
        ("training", "ListTrainings", training_pb2.ListTrainingsRequest()),
        ("evaluation", "Evaluate", evaluation_pb2.EvaluateRequest()),
        ("model", "DeployModel", model_pb2.DeployModelRequest(model_version=1)),
        ("model", "DeleteModel", model_pb2.DeleteModelRequest(model_version=1)),
        ("model", "ListDeployments", model_pb2.ListDeploymentsRequest()),
    ],
)
def test_what_a_replica_does_not_do_it_refuses_by_name(
    stubs_of_a_replica: Any, refused: Any, service: str, method: str, request_: Any
) -> None:
    refusal = refused(getattr(getattr(stubs_of_a_replica, service), method), request_)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "READ_ONLY")
    assert method in refusal.message


def test_a_refused_stream_ends_with_the_same_words(stubs_of_a_replica: Any) -> None:
    request = training_pb2.WatchTrainingRequest(training_id="x")
    with pytest.raises(grpc.RpcError) as raised:
        list(stubs_of_a_replica.training.WatchTraining(request, timeout=60))
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "WatchTraining" in raised.value.details()


def test_a_replica_is_healthy_for_what_it_serves(stubs_of_a_replica: Any) -> None:
    check = health_pb2_grpc.HealthStub(stubs_of_a_replica.channel).Check
    statuses = {
        service: check(health_pb2.HealthCheckRequest(service=service), timeout=60).status
        for service in (
            "",
            "digits.v1.PredictionService",
            "digits.v1.ModelService",
            "digits.v1.TrainingService",
            "digits.v1.SweepService",
        )
    }
    status = health_pb2.HealthCheckResponse
    assert list(statuses.values()) == [status.SERVING] * 3 + [status.NOT_SERVING] * 2


def test_a_deployment_reaches_every_replica_and_no_request_fails(
    owner: Any, replicas: list[Any], balanced: Any, stubs_of: Any
) -> None:
    current = stubs_of(owner).model.GetModel(model_pb2.GetModelRequest(), timeout=60).model.model_version
    other = 3 - current
    assert {balanced.prediction.Predict(REQUEST, timeout=60).model_version for _ in range(9)} == {current}
    stubs_of(owner).model.DeployModel(model_pb2.DeployModelRequest(model_version=other), timeout=60)
    deadline = time.monotonic() + PATIENCE_S
    answered: list[int] = []
    while set(answered[-9:]) != {other}:
        assert time.monotonic() < deadline, f"expected all from version {other}, got {answered[-9:]}"
        answered.append(balanced.prediction.Predict(REQUEST, timeout=60).model_version)
        time.sleep(0.005)
    assert set(answered) <= {current, other}


def test_replicas_may_share_one_port_and_an_owner_may_not(
    owner: Any, launch_server: Any, stubs_of: Any
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = {"DIGITS_PORT": port, "DIGITS_SHARE_PORT": "yes"}
    pair = [launch_server("--read-only", data=owner.data, **settings) for _ in range(2)]
    assert pair[0].port == pair[1].port == int(port)
    assert stubs_of(pair[0]).prediction.Predict(REQUEST, timeout=60).model_version in (1, 2)
    assert [server.stop() for server in pair] == [0, 0]


def test_three_replicas_share_the_calls_of_one_client(replicas: list[Any], balanced: Any) -> None:
    for _ in range(CALLS):
        balanced.prediction.Predict(REQUEST, timeout=60)
    # The last test of them: what each has answered it tells when it ends.
    assert [replica.stop() for replica in replicas] == [0, 0, 0]
    answered = [replica.event("draining")["answered"] for replica in replicas]
    assert min(answered) >= CALLS // 4
