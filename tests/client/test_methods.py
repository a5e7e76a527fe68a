"""Every method of the contract is one of either client, with the same arguments, and reaches the server."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from digits.client import AsyncClient, Client
from digits.client.choices import Dataset, ExportFormat
from digits.client.records import SweepRange
from digits.v1 import model_pb2, prediction_pb2
from google.protobuf.message_factory import GetMessageClass

PIXELS = np.zeros((28, 28), np.uint8)
# The arguments of a call of each method, and the method of the contract that it is.
CALLS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "predict": ("Predict", (b"png",)),
    "predict_pixels": ("Predict", (PIXELS,)),
    "predict_batch": ("BatchPredict", ([b"png"],)),
    "stream_predict": ("StreamPredict", ([b"png", b"png"],)),
    "read_number": ("ReadNumber", (b"png",)),
    "explain_prediction": ("ExplainPrediction", (b"png",)),
    "explain_pixels": ("ExplainPrediction", (PIXELS,)),
    "list_recipes": ("ListRecipes", ()),
    "start_training": ("StartTraining", ("classic",)),
    "get_training": ("GetTraining", ("id",)),
    "list_trainings": ("ListTrainings", ()),
    "watch_training": ("WatchTraining", ("id",)),
    "stop_training": ("StopTraining", ("id",)),
    "cancel_training": ("CancelTraining", ("id",)),
    "start_sweep": ("StartSweep", ("cnn", [SweepRange("optimizer", values=("adam", "sgd"))])),
    "get_sweep": ("GetSweep", ("id",)),
    "list_sweeps": ("ListSweeps", ()),
    "stop_sweep": ("StopSweep", ("id",)),
    "list_datasets": ("ListDatasets", ()),
    "evaluate": ("Evaluate", (Dataset.MNIST_TEST,)),
    "get_evaluation": ("GetEvaluation", ("id",)),
    "list_test_digits": ("ListTestDigits", (Dataset.MNIST_TEST,)),
    "list_misclassified": ("ListMisclassified", ()),
    "compare_models": ("CompareModels", (2,)),
    "list_likely_label_errors": ("ListLikelyLabelErrors", ()),
    "mark_mislabelled": ("MarkMislabelled", (Dataset.MNIST_TEST, 7)),
    "list_models": ("ListModels", ()),
    "get_model": ("GetModel", ()),
    "deploy_model": ("DeployModel", (2,)),
    "list_deployments": ("ListDeployments", ()),
    "delete_model": ("DeleteModel", (2,)),
    "export_model": ("ExportModel", (ExportFormat.ONNX,)),
    "add_sample": ("AddSample", (b"png", 7)),
    "add_sample_pixels": ("AddSample", (PIXELS, 7)),
    "list_samples": ("ListSamples", ()),
    "update_sample": ("UpdateSample", ("id", 7)),
    "delete_sample": ("DeleteSample", ("id",)),
    "import_samples": ("ImportSamples", (bytes(200_000),)),
    "export_samples": ("ExportSamples", ()),
    "evaluate_samples": ("EvaluateSamples", ()),
}
TOKEN = "a-token-of-the-test"


def methods(client: type[Any]) -> set[str]:
    """The calls that a client offers."""
    return {name for name in vars(client) if not name.startswith("_")} - {"close"}


def test_the_clients_have_every_method_of_the_contract_and_the_same_ones(contract: dict[str, Any]) -> None:
    assert {called for called, _ in CALLS.values()} == {path.rpartition("/")[2] for path in contract}
    assert methods(Client) == methods(AsyncClient) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_takes_the_same_in_both_clients_and_tells_what_it_is(name: str) -> None:
    plain, awaited = getattr(Client, name), getattr(AsyncClient, name)

    assert plain.__doc__ == awaited.__doc__
    names = list(inspect.signature(plain).parameters)
    assert names == list(inspect.signature(awaited).parameters)
    assert names[0] == "self"
    assert names[-1] == "timeout_s"


@pytest.fixture
def server(stand_in: Any, fill: Callable[[Any], Any], contract: dict[str, Any]) -> Any:
    """A server that answers every call, with every field set."""

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        message = GetMessageClass(contract[arrived.path].output_type)()
        if isinstance(message, model_pb2.ExportModelResponse):
            digest = hashlib.sha256(b"onnx").hexdigest()
            yield model_pb2.ExportModelResponse(header={"bytes": 4, "sha256": digest, "file_name": "a.onnx"})
            yield model_pb2.ExportModelResponse(chunk=b"on")
            yield model_pb2.ExportModelResponse(chunk=b"nx")
            return
        for _ in arrived.requests if isinstance(message, prediction_pb2.StreamPredictResponse) else "1":
            yield fill(message)

    return stand_in(behave)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_calls_what_it_is_named_after(name: str, server: Any) -> None:
    called, arguments = CALLS[name]

    with Client(server.address, token=TOKEN) as client:
        answer = getattr(client, name)(*arguments)
        if isinstance(answer, Iterator):
            answer = list(answer)

    check(server, called, answer)


@pytest.mark.parametrize("name", CALLS)
async def test_so_does_the_one_for_asyncio(name: str, server: Any) -> None:
    called, arguments = CALLS[name]

    async with AsyncClient(server.address, token=TOKEN) as client:
        answer = getattr(client, name)(*arguments)
        if isinstance(answer, AsyncIterator):
            answer = [each async for each in answer]
        else:
            answer = await answer

    check(server, called, answer)


def check(server: Any, called: str, answer: Any) -> None:
    """One call arrived, with a token, an id and a deadline, and what came back was understood."""
    [arrived] = server.calls
    assert arrived.path.endswith(f"/{called}")
    assert arrived.metadata["authorization"] == f"Bearer {TOKEN}"
    assert len(arrived.metadata["x-request-id"]) == 32
    assert arrived.left_s < 25 * 3600  # gRPC rounds it up.
    request = arrived.requests[0]
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        assert len(request.request_id) == 32
    if called not in ("DeleteModel", "DeleteSample"):
        assert answer is not None
    if called == "StreamPredict":
        assert len(answer) == len(arrived.requests) == 2
    if called == "ExportModel":
        assert (answer.data, answer.file_name) == (b"onnx", "a.onnx")
    if called == "ImportSamples":
        assert sum(len(request.chunk) for request in arrived.requests) == 200_000
