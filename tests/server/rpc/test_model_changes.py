"""Deploying, rolling back and deleting over a live channel, and the list that tells of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from digits.v1 import dataset_pb2, evaluation_pb2, gate_pb2, prediction_pb2, training_pb2
from digits.v1 import model_pb2 as pb

from server.models import ModelStore, ModelVersion
from server.recipes import resolve

Save = Callable[..., ModelVersion]

OPTIONS = resolve("classic", {}).to_json()
# Some ink in the middle of 28x28 pixels.
INK = bytes(400) + b"\xff" * 10 + bytes(374)


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server of their own for the tests that change which version answers."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture
def stubs(server: Any, stubs_of: Any) -> Iterator[Any]:
    stubs = stubs_of(server)
    yield stubs
    deploy(stubs, 1)


@pytest.fixture
def add(server: Any, save: Save, beginner: Any) -> Callable[[], int]:
    """`add()` puts one more version into the store, which reads four digits in five; gives its number."""
    return lambda: save(ModelStore(server.data / "models"), beginner, options=OPTIONS).version


def deploy(stubs: Any, version: int, cause: str = "", request_id: str = "") -> pb.Model:
    request = pb.DeployModelRequest(model_version=version, cause=cause, request_id=request_id)
    return stubs.model.DeployModel(request, timeout=60).model


def listed(stubs: Any, **choices: Any) -> pb.ListDeploymentsResponse:
    return stubs.model.ListDeployments(pb.ListDeploymentsRequest(**choices), timeout=60)


def answering(stubs: Any) -> int:
    return stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model.model_version


def test_the_list_tells_who_answered_when_and_why_and_where_one_click_leads(
    launch_server: Any, stubs_of: Any, save: Save, beginner: Any
) -> None:
    started = datetime.now(UTC)
    server = launch_server(DIGITS_MNIST="")
    stubs, store = stubs_of(server), ModelStore(server.data / "models")
    assert listed(stubs).rollback_version == 0
    for number in (2, 3):
        save(store, beginner, options=OPTIONS)
        deploy(stubs, number, "to see how bad it is")
    assert listed(stubs).rollback_version == 2
    deploy(stubs, 2)
    # Not to 3, which was left for a reason.
    assert listed(stubs).rollback_version == 1
    deploy(stubs, 1)
    assert listed(stubs).rollback_version == 0
    stubs.model.DeleteModel(pb.DeleteModelRequest(model_version=3, cause=" not\nneeded "), timeout=60)

    reply = listed(stubs)
    assert [
        (entry.number, entry.model_version, entry.action, entry.cause, entry.previous_version)
        for entry in reply.deployments
    ] == [
        (6, 3, pb.DEPLOYMENT_ACTION_DELETED, "not needed", 0),
        (5, 1, pb.DEPLOYMENT_ACTION_ROLLED_BACK, "asked for by DeployModel", 2),
        (4, 2, pb.DEPLOYMENT_ACTION_ROLLED_BACK, "asked for by DeployModel", 3),
        (3, 3, pb.DEPLOYMENT_ACTION_DEPLOYED, "to see how bad it is", 2),
        (2, 2, pb.DEPLOYMENT_ACTION_DEPLOYED, "to see how bad it is", 1),
        (1, 1, pb.DEPLOYMENT_ACTION_DEPLOYED, "first start", 0),
    ]
    assert (reply.total_size, reply.next_page_token) == (6, "")
    times = [entry.create_time.ToDatetime(UTC) for entry in reversed(reply.deployments)]
    assert times == sorted(times)
    assert started <= times[0]
    assert times[-1] <= datetime.now(UTC)

    first = listed(stubs, page_size=4)
    rest = listed(stubs, page_size=4, page_token=first.next_page_token)
    assert [entry.number for entry in (*first.deployments, *rest.deployments)] == [6, 5, 4, 3, 2, 1]

    # It is not lost with the process.
    server.kill()
    server.start()
    assert list(listed(stubs_of(server)).deployments) == list(reply.deployments)


def test_a_repeated_request_deploys_once(stubs: Any, refused: Any, add: Callable[[], int]) -> None:
    first, second = add(), add()
    assert deploy(stubs, first, request_id="a").is_deployed
    deploy(stubs, second)
    assert not deploy(stubs, first, request_id="a").is_deployed
    assert answering(stubs) == second
    request = pb.DeployModelRequest(model_version=second, request_id="a")
    refusal = refused(stubs.model.DeployModel, request)
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["request_id"])


def test_a_deleted_version_is_known_to_nobody(
    server: Any, stubs: Any, refused: Any, add: Callable[[], int]
) -> None:
    number = add()
    before = stubs.model.GetModel(pb.GetModelRequest(model_version=number), timeout=60).model
    stubs.model.DeleteModel(pb.DeleteModelRequest(model_version=number), timeout=60)

    image = prediction_pb2.Image(pixels=INK)
    evaluation = before.evaluation.evaluation_id
    asked = [
        (stubs.model.GetModel, pb.GetModelRequest(model_version=number)),
        (stubs.model.DeployModel, pb.DeployModelRequest(model_version=number)),
        (stubs.model.DeleteModel, pb.DeleteModelRequest(model_version=number)),
        (stubs.prediction.Predict, prediction_pb2.PredictRequest(image=image, model_version=number)),
        (
            stubs.evaluation.Evaluate,
            evaluation_pb2.EvaluateRequest(model_version=number, dataset=dataset_pb2.DATASET_BUILTIN_TEST),
        ),
        (stubs.evaluation.GetEvaluation, evaluation_pb2.GetEvaluationRequest(evaluation_id=evaluation)),
    ]
    for method, request in asked:
        assert refused(method, request).code is grpc.StatusCode.NOT_FOUND, request
    models = stubs.model.ListModels(pb.ListModelsRequest(), timeout=60).models
    assert number not in [model.model_version for model in models]
    assert not (server.data / "models" / f"{number:06d}").exists()
    assert add() == number + 1


def test_what_is_needed_cannot_be_deleted(stubs: Any, refused: Any, add: Callable[[], int]) -> None:
    number = add()
    deploy(stubs, number)
    for version, why in ((number, "is deployed"), (1, "came with the software")):
        refusal = refused(stubs.model.DeleteModel, pb.DeleteModelRequest(model_version=version))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_IN_USE")
        assert why in refusal.message
        assert stubs.model.GetModel(pb.GetModelRequest(model_version=version), timeout=60).model


def test_a_list_asked_for_while_versions_come_and_go_is_never_refused(
    stubs: Any, add: Callable[[], int]
) -> None:
    is_over = threading.Event()

    def come_and_go() -> None:
        for _ in range(8):
            stubs.model.DeleteModel(pb.DeleteModelRequest(model_version=add()), timeout=60)
        is_over.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    lists = 0
    while not is_over.is_set() or not lists:
        assert stubs.model.ListModels(pb.ListModelsRequest(), timeout=60).models[-1].model_version == 1
        lists += 1
    thread.join()


BAD_REQUESTS = {
    "no version to deploy": ("DeployModel", pb.DeployModelRequest(), "model_version"),
    "no version to delete": ("DeleteModel", pb.DeleteModelRequest(), "model_version"),
    "a long cause": ("DeployModel", pb.DeployModelRequest(model_version=1, cause="x" * 201), "cause"),
    "a long cause to delete": (
        "DeleteModel",
        pb.DeleteModelRequest(model_version=1, cause="x" * 201),
        "cause",
    ),
    "a long request id": (
        "DeployModel",
        pb.DeployModelRequest(model_version=1, request_id="x" * 65),
        "request_id",
    ),
    "a page of nothing": ("ListDeployments", pb.ListDeploymentsRequest(page_size=-1), "page_size"),
    "a strange page": ("ListDeployments", pb.ListDeploymentsRequest(page_token="x"), "page_token"),
}


@pytest.mark.parametrize("wrong", BAD_REQUESTS)
def test_a_bad_request_names_its_field(live_server: Any, stubs_of: Any, refused: Any, wrong: str) -> None:
    method, request, field = BAD_REQUESTS[wrong]
    refusal = refused(getattr(stubs_of(live_server).model, method), request)
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


def test_a_replica_goes_on_while_its_owner_deletes(
    launch_server: Any, server: Any, stubs: Any, stubs_of: Any, add: Callable[[], int]
) -> None:
    number = add()
    replica = stubs_of(launch_server("--read-only", data=server.data))
    request = prediction_pb2.PredictRequest(image=prediction_pb2.Image(pixels=INK), model_version=number)
    assert replica.prediction.Predict(request, timeout=60).model_version == number
    stubs.model.DeleteModel(pb.DeleteModelRequest(model_version=number), timeout=60)
    request.model_version = 0
    assert replica.prediction.Predict(request, timeout=60).model_version == 1
    models = replica.model.ListModels(pb.ListModelsRequest(), timeout=60).models
    assert number not in [model.model_version for model in models]


def test_a_version_that_reads_better_is_deployed_when_its_training_is_done(
    stubs: Any, add: Callable[[], int]
) -> None:
    serving = add()
    deploy(stubs, serving)
    options = training_pb2.TrainingOptions(epochs=2)
    request = training_pb2.StartTrainingRequest(recipe="classic-fast", options=options, deploy_when_done=True)
    run = start(stubs, request)
    watch = training_pb2.WatchTrainingRequest(training_id=run.training_id)
    last = list(stubs.training.WatchTraining(watch, timeout=600))[-1].training

    assert last.state == training_pb2.TRAINING_STATE_SUCCEEDED, last.failure_reason
    assert (last.gate.passed, last.gate.serving_version, list(last.gate.reasons)) == (True, serving, [])
    (comparison,) = last.gate.comparisons
    assert (comparison.data, comparison.images) == (gate_pb2.GATE_DATA_VALIDATION, 500)
    assert comparison.passed
    assert comparison.difference_low <= comparison.difference <= comparison.difference_high
    assert comparison.difference == pytest.approx(comparison.accuracy - comparison.serving_accuracy)
    assert answering(stubs) == last.model_version
    newest = listed(stubs).deployments[0]
    assert (newest.model_version, newest.previous_version) == (last.model_version, serving)
    assert newest.cause == "its training asked for it, and it passed the gate"
    model = stubs.model.GetModel(pb.GetModelRequest(), timeout=60).model
    assert model.gate == last.gate
    shipped = stubs.model.GetModel(pb.GetModelRequest(model_version=1), timeout=60).model
    assert not shipped.HasField("gate")


def start(stubs: Any, request: training_pb2.StartTrainingRequest) -> training_pb2.Training:
    """Start a run as soon as the digits are there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return stubs.training.StartTraining(request, timeout=60).training
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
