"""What every method promises by its kind, over a live channel: paging, retries, deadlines, cancellation.

The table below holds a request for every method of every service. A new method without one fails the first
test, and a new one with pages or with a `request_id` fails until it is entered where these are tested.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import digits
import grpc
import pytest
from digits.oip import open_inference_pb2 as oip
from digits.v1 import dataset_pb2 as dataset
from digits.v1 import evaluation_pb2 as evaluation
from digits.v1 import model_pb2 as model
from digits.v1 import prediction_pb2 as prediction
from digits.v1 import sample_pb2 as sample
from digits.v1 import sweep_pb2 as sweep
from digits.v1 import training_pb2 as training
from google.protobuf import message_factory
from google.protobuf.message import Message

PATIENCE_S = 60.0
SOON_S = 0.3
MADE_UP = "made up"
TEST = dataset.DATASET_BUILTIN_TEST
DIGIT = prediction.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
OPTIONS = training.TrainingOptions(epochs=200, batch_size=8)
LONG = training.StartTrainingRequest(recipe="classic", options=OPTIONS)
SWEEP = sweep.StartSweepRequest(
    recipe="classic-fast",
    options=training.TrainingOptions(epochs=200),
    ranges=[sweep.SweepRange(option="batch_size", values=["8", "9"])],
)
INFER = oip.ModelInferRequest(
    model_name="digits",
    inputs=[{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1]}],
    raw_input_contents=[DIGIT.pixels],
)

# A request for every method, such that it is answered or refused, and nothing is different afterwards.
REQUESTS: dict[str, Message] = {
    "digits.v1.PredictionService/Predict": prediction.PredictRequest(image=DIGIT),
    "digits.v1.PredictionService/BatchPredict": prediction.BatchPredictRequest(images=[DIGIT] * 2),
    "digits.v1.PredictionService/StreamPredict": prediction.StreamPredictRequest(image=DIGIT),
    "digits.v1.PredictionService/ReadNumber": prediction.ReadNumberRequest(encoded=b"no image"),
    "digits.v1.PredictionService/ExplainPrediction": prediction.ExplainPredictionRequest(image=DIGIT),
    "digits.v1.TrainingService/ListRecipes": training.ListRecipesRequest(),
    "digits.v1.TrainingService/StartTraining": training.StartTrainingRequest(recipe="alchemy"),
    "digits.v1.TrainingService/GetTraining": training.GetTrainingRequest(training_id="x"),
    "digits.v1.TrainingService/ListTrainings": training.ListTrainingsRequest(),
    "digits.v1.TrainingService/WatchTraining": training.WatchTrainingRequest(training_id="x"),
    "digits.v1.TrainingService/StopTraining": training.StopTrainingRequest(training_id="x"),
    "digits.v1.TrainingService/CancelTraining": training.CancelTrainingRequest(training_id="x"),
    "digits.v1.SweepService/StartSweep": sweep.StartSweepRequest(recipe="alchemy"),
    "digits.v1.SweepService/GetSweep": sweep.GetSweepRequest(sweep_id="x"),
    "digits.v1.SweepService/ListSweeps": sweep.ListSweepsRequest(),
    "digits.v1.SweepService/StopSweep": sweep.StopSweepRequest(sweep_id="x"),
    "digits.v1.EvaluationService/ListDatasets": evaluation.ListDatasetsRequest(),
    "digits.v1.EvaluationService/Evaluate": evaluation.EvaluateRequest(),
    "digits.v1.EvaluationService/GetEvaluation": evaluation.GetEvaluationRequest(evaluation_id="x"),
    "digits.v1.EvaluationService/ListTestDigits": evaluation.ListTestDigitsRequest(dataset=TEST),
    "digits.v1.EvaluationService/ListMisclassified": evaluation.ListMisclassifiedRequest(dataset=TEST),
    "digits.v1.EvaluationService/CompareModels": evaluation.CompareModelsRequest(
        base_version=1, candidate_version=2, dataset=TEST
    ),
    "digits.v1.EvaluationService/ListLikelyLabelErrors": evaluation.ListLikelyLabelErrorsRequest(
        dataset=TEST
    ),
    "digits.v1.EvaluationService/MarkMislabelled": evaluation.MarkMislabelledRequest(),
    "digits.v1.ModelService/ListModels": model.ListModelsRequest(),
    "digits.v1.ModelService/GetModel": model.GetModelRequest(),
    "digits.v1.ModelService/DeployModel": model.DeployModelRequest(),
    "digits.v1.ModelService/ListDeployments": model.ListDeploymentsRequest(),
    "digits.v1.ModelService/DeleteModel": model.DeleteModelRequest(),
    "digits.v1.ModelService/ExportModel": model.ExportModelRequest(format=model.EXPORT_FORMAT_ONNX),
    "digits.v1.SampleService/AddSample": sample.AddSampleRequest(),
    "digits.v1.SampleService/ListSamples": sample.ListSamplesRequest(),
    "digits.v1.SampleService/UpdateSample": sample.UpdateSampleRequest(sample_id="x", label=1),
    "digits.v1.SampleService/DeleteSample": sample.DeleteSampleRequest(sample_id="x"),
    "digits.v1.SampleService/ImportSamples": sample.ImportSamplesRequest(chunk=b"no archive"),
    "digits.v1.SampleService/ExportSamples": sample.ExportSamplesRequest(),
    "digits.v1.SampleService/EvaluateSamples": sample.EvaluateSamplesRequest(),
    "inference.GRPCInferenceService/ServerLive": oip.ServerLiveRequest(),
    "inference.GRPCInferenceService/ServerReady": oip.ServerReadyRequest(),
    "inference.GRPCInferenceService/ModelReady": oip.ModelReadyRequest(name="digits"),
    "inference.GRPCInferenceService/ServerMetadata": oip.ServerMetadataRequest(),
    "inference.GRPCInferenceService/ModelMetadata": oip.ModelMetadataRequest(name="digits"),
    "inference.GRPCInferenceService/ModelInfer": INFER,
    "inference.GRPCInferenceService/ModelStreamInfer": INFER,
    "inference.GRPCInferenceService/ModelConfig": oip.ModelConfigRequest(name="digits"),
    "inference.GRPCInferenceService/ModelStatistics": oip.ModelStatisticsRequest(),
    "inference.GRPCInferenceService/RepositoryIndex": oip.RepositoryIndexRequest(),
    "inference.GRPCInferenceService/RepositoryModelLoad": oip.RepositoryModelLoadRequest(model_name="cats"),
    "inference.GRPCInferenceService/RepositoryModelUnload": oip.RepositoryModelUnloadRequest(
        model_name="cats"
    ),
    "inference.GRPCInferenceService/SystemSharedMemoryStatus": oip.SystemSharedMemoryStatusRequest(),
    "inference.GRPCInferenceService/SystemSharedMemoryRegister": oip.SystemSharedMemoryRegisterRequest(),
    "inference.GRPCInferenceService/SystemSharedMemoryUnregister": oip.SystemSharedMemoryUnregisterRequest(),
    "inference.GRPCInferenceService/CudaSharedMemoryStatus": oip.CudaSharedMemoryStatusRequest(),
    "inference.GRPCInferenceService/CudaSharedMemoryRegister": oip.CudaSharedMemoryRegisterRequest(),
    "inference.GRPCInferenceService/CudaSharedMemoryUnregister": oip.CudaSharedMemoryUnregisterRequest(),
    "inference.GRPCInferenceService/TraceSetting": oip.TraceSettingRequest(),
    "inference.GRPCInferenceService/LogSettings": oip.LogSettingsRequest(),
}

# The lists: the most that a page may hold, and how many there are at least on the furnished server.
PAGED: dict[str, tuple[int, int]] = {
    "digits.v1.TrainingService/ListRecipes": (100, 4),
    "digits.v1.TrainingService/ListTrainings": (100, 3),
    "digits.v1.SweepService/ListSweeps": (100, 2),
    "digits.v1.EvaluationService/ListDatasets": (100, 3),
    "digits.v1.EvaluationService/ListTestDigits": (1000, 1000),
    "digits.v1.EvaluationService/ListMisclassified": (1000, 1),
    "digits.v1.EvaluationService/CompareModels": (1000, 1),
    "digits.v1.EvaluationService/ListLikelyLabelErrors": (1000, 1),
    "digits.v1.ModelService/ListModels": (100, 2),
    "digits.v1.ModelService/ListDeployments": (100, 2),
    "digits.v1.SampleService/ListSamples": (1000, 3),
}

# The methods that are safe to retry by a request_id: what they are asked, and what tells the result of it.
REPEATED: dict[str, tuple[Message, Callable[[Any], Any]]] = {
    "digits.v1.TrainingService/StartTraining": (LONG, lambda reply: reply.training.training_id),
    "digits.v1.SweepService/StartSweep": (SWEEP, lambda reply: reply.sweep.sweep_id),
    "digits.v1.ModelService/DeployModel": (
        model.DeployModelRequest(model_version=2),
        lambda reply: reply.model.model_version,
    ),
    "digits.v1.SampleService/AddSample": (
        sample.AddSampleRequest(image=DIGIT, label=3),
        lambda reply: (reply.sample.sample_id, reply.total_size),
    ),
}

# The streams that stay open until somebody ends them. Of the others none outlasts its answer.
OPEN = {
    "digits.v1.PredictionService/StreamPredict",
    "digits.v1.TrainingService/WatchTraining",
    "digits.v1.SampleService/ImportSamples",
    "inference.GRPCInferenceService/ModelStreamInfer",
}


# On Ray these are cut into calls that each end at once: there is nothing that could go on.
PREDICTED_ON_RAY = frozenset(
    ["digits.v1.PredictionService/StreamPredict", "inference.GRPCInferenceService/ModelStreamInfer"]
)

# How the server may count the end of a stream that it let go. One that waits for requests may see their end
# before it is told that the call is over, and end as one that has answered all there was.
LET_GO = ("CANCELLED", "DEADLINE_EXCEEDED", "OK")


def contract() -> dict[str, Any]:
    """Every method of every .proto of this project, by service and name."""
    files = [
        importlib.import_module(module.name).DESCRIPTOR
        for module in pkgutil.walk_packages(digits.__path__, "digits.")
        if module.name.endswith("_pb2")
    ]
    services = [service for file in files for service in file.services_by_name.values()]
    return {
        f"{service.full_name}/{method.name}": method for service in services for method in service.methods
    }


CONTRACT = contract()
IDS = dict.fromkeys(CONTRACT)


def has(method: str, field: str) -> bool:
    return field in CONTRACT[method].input_type.fields_by_name


def test_every_method_has_a_request_in_the_table() -> None:
    assert set(REQUESTS) == set(CONTRACT)
    for method, request in REQUESTS.items():
        assert request.DESCRIPTOR.full_name == CONTRACT[method].input_type.full_name


def test_every_list_has_its_pages_tested() -> None:
    assert set(PAGED) == {method for method in CONTRACT if has(method, "page_token")}
    assert all(has(method, "page_size") for method in PAGED)
    lists = {method for method in CONTRACT if method.startswith("digits.v1") and "/List" in method}
    assert lists <= set(PAGED)


def test_every_method_that_is_safe_to_retry_has_that_tested() -> None:
    assert set(REPEATED) == {method for method in CONTRACT if has(method, "request_id")}


def test_every_stream_that_stays_open_is_tested_open() -> None:
    streams = {name for name, method in CONTRACT.items() if method.client_streaming} | {
        name for name in CONTRACT if name.rpartition("/")[2].startswith("Watch")
    }
    assert streams == OPEN


class Server:
    """A live server, called by the names of its methods."""

    def __init__(self, live: Any, metrics_port: object, uncounted: frozenset[str] = frozenset()) -> None:
        self.live = live
        self.uncounted = uncounted
        """Methods whose calls its metrics do not tell of."""
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"
        self.channel: grpc.Channel = live.channel()

    def method(self, name: str) -> Any:
        """A call of the kind that the method is of; requests as messages, replies too."""
        described = CONTRACT[name]
        kinds = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }
        reply = message_factory.GetMessageClass(described.output_type)
        kind: Any = kinds[described.client_streaming, described.server_streaming]
        return kind(f"/{name}", lambda request: request.SerializeToString(), reply.FromString)

    def ask(self, name: str, request: Message) -> Any:
        return self.method(name)(request, timeout=60)

    def begin(self, name: str, **options: Any) -> Any:
        """Send the table's request without waiting: the call, to be waited for or cancelled."""
        request: Any = REQUESTS[name]
        described = CONTRACT[name]
        if described.client_streaming:
            request = iter([request])
        call = self.method(name)
        return call(request, **options) if described.server_streaming else call.future(request, **options)

    def metric(self, pattern: str) -> float:
        """The sum of the metrics whose lines match."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        if self.live.token:
            opener.addheaders = [("Authorization", f"Bearer {self.live.token}")]
        with opener.open(self._metrics, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))

    def started(self, name: str) -> float:
        """How many calls of a method the server has taken up."""
        return self.metric(rf'grpc_server_started_total{{grpc_method="{name.rpartition("/")[2]}",')

    def ended(self, name: str, *codes: str) -> float:
        """How many calls of a method have ended with one of the codes, as the server counts them."""
        method = name.rpartition("/")[2]
        return self.metric(
            rf'grpc_server_handled_total{{grpc_code="({"|".join(codes)})",grpc_method="{method}",'
        )


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def on_one_machine(launch_server: Any) -> Server:
    live = launch_server(DIGITS_MNIST="", DIGITS_METRICS_PORT="0")
    models = live.data / "models"
    shutil.copytree(models / "000001", models / "000002")
    live.stop()
    before = live.log.stat().st_size
    live.start()
    return Server(live, live.event("serving", before)["metrics_port"])


@pytest.fixture(scope="module", params=["server", "ray"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the built-in digits with two versions, two deployments, runs, samples and evaluations."""
    if request.param == "ray":
        live = request.getfixturevalue("live_cluster")
        # The last start counts: the cluster is that of other suites too, and they stop it.
        serving = [event for event in live.events() if event["event"] == "serving"]
        server = Server(live, serving[-1]["metrics_port"], uncounted=PREDICTED_ON_RAY)
    else:
        server = on_one_machine(request.getfixturevalue("launch_server"))
    ready = training.ListRecipesRequest()
    until(
        lambda: server.ask("digits.v1.TrainingService/ListRecipes", ready).HasField("data_source"),
        "no digits",
    )
    for version in (1, 2):
        asked = evaluation.EvaluateRequest(model_version=version, dataset=TEST)
        server.ask("digits.v1.EvaluationService/Evaluate", asked)
    for version in (2, 1):
        server.ask("digits.v1.ModelService/DeployModel", model.DeployModelRequest(model_version=version))
    for label in (1, 2, 3):
        server.ask("digits.v1.SampleService/AddSample", sample.AddSampleRequest(image=DIGIT, label=label))
    start, cancel = "digits.v1.TrainingService/StartTraining", "digits.v1.TrainingService/CancelTraining"
    runs = [server.ask(start, LONG).training.training_id for _ in range(3)]
    for _ in range(2):
        stop_sweep(server, server.ask("digits.v1.SweepService/StartSweep", SWEEP).sweep.sweep_id)
    # The last first: so only one of them ever begins to train.
    for run in reversed(runs):
        server.ask(cancel, training.CancelTrainingRequest(training_id=run))
    until(lambda: all(is_measured(server, version) for version in (1, 2)), "not measured")
    yield server
    server.channel.close()


def stop_sweep(server: Server, sweep_id: str) -> None:
    server.ask("digits.v1.SweepService/StopSweep", sweep.StopSweepRequest(sweep_id=sweep_id))


def is_measured(server: Server, version: int) -> bool:
    request = evaluation.GetEvaluationRequest(model_version=version, dataset=TEST)
    call = server.method("digits.v1.EvaluationService/GetEvaluation").future(request, timeout=60)
    return call.exception() is None


def items(reply: Any) -> list[Any]:
    """What a page holds: the first field of many messages."""
    for field in reply.DESCRIPTOR.fields:
        if field.is_repeated and field.message_type is not None:
            return list(getattr(reply, field.name))
    raise AssertionError(f"{reply.DESCRIPTOR.full_name} holds nothing")


def asking(name: str, **fields: Any) -> Any:
    request = type(REQUESTS[name])()
    request.CopyFrom(REQUESTS[name])
    for field, value in fields.items():
        setattr(request, field, value)
    return request


@pytest.mark.parametrize("name", PAGED)
def test_pages_one_after_the_other_hold_what_one_large_page_holds(server: Server, name: str) -> None:
    maximum, least = PAGED[name]
    whole = items(server.ask(name, asking(name, page_size=maximum)))
    assert len(whole) >= least
    size = max(1, len(whole) // 3)
    pages, token = [], ""
    while True:
        reply = server.ask(name, asking(name, page_size=size, page_token=token))
        assert len(items(reply)) <= size
        pages += items(reply)
        token = reply.next_page_token
        if not token:
            break
    assert pages == whole


@pytest.mark.parametrize("name", PAGED)
def test_a_page_without_a_size_is_as_large_as_the_contract_says(server: Server, name: str) -> None:
    maximum, _ = PAGED[name]
    assert 0 < len(items(server.ask(name, asking(name)))) <= min(maximum, 100)


@pytest.mark.parametrize("name", PAGED)
def test_a_page_size_out_of_range_is_refused_by_name(server: Server, told: Any, name: str) -> None:
    for size in (-1, PAGED[name][0] + 1):
        refused = told(server.channel, f"/{name}", asking(name, page_size=size))
        assert refused.reason == "INVALID_ARGUMENT"
        assert [one.field for one in refused.details["BadRequest"].field_violations] == ["page_size"]


@pytest.mark.parametrize("name", PAGED)
def test_a_page_token_that_is_made_up_or_of_another_list_is_refused(
    server: Server, told: Any, name: str
) -> None:
    other = next(one for one in PAGED if one != name and PAGED[one][1] > 1)
    elsewhere = server.ask(other, asking(other, page_size=1)).next_page_token
    assert elsewhere
    for token in (MADE_UP, elsewhere, elsewhere[:-2]):
        refused = told(server.channel, f"/{name}", asking(name, page_token=token))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize("name", REPEATED)
def test_a_request_id_that_is_too_long_is_refused_by_name(server: Server, told: Any, name: str) -> None:
    request = type(REPEATED[name][0])()
    request.CopyFrom(REPEATED[name][0])
    request.request_id = "x" * 65
    refused = told(server.channel, f"/{name}", request)
    assert [one.field for one in refused.details["BadRequest"].field_violations] == ["request_id"]


@pytest.mark.parametrize("name", REPEATED)
def test_the_same_request_id_has_the_same_result_however_often_and_at_once(server: Server, name: str) -> None:
    request, result = REPEATED[name]
    again = type(request)()
    again.CopyFrom(request)
    again.request_id = f"once-{name.rpartition('/')[2]}"
    call = server.method(name)
    together = [call.future(again, timeout=60) for _ in range(6)]
    results = {result(one.result()) for one in together}
    results.add(result(server.ask(name, again)))
    assert len(results) == 1
    if name.endswith("StartTraining"):
        cancel = training.CancelTrainingRequest(training_id=results.pop())
        server.ask("digits.v1.TrainingService/CancelTraining", cancel)
    if name.endswith("StartSweep"):
        stop_sweep(server, results.pop())


def test_a_deployment_that_is_asked_for_again_does_not_undo_a_later_one(server: Server) -> None:
    deploy, get = "digits.v1.ModelService/DeployModel", "digits.v1.ModelService/GetModel"
    first = model.DeployModelRequest(model_version=2, request_id="first")
    server.ask(deploy, first)
    server.ask(deploy, model.DeployModelRequest(model_version=1, request_id="second"))
    server.ask(deploy, first)
    assert server.ask(get, model.GetModelRequest()).model.model_version == 1


@pytest.fixture(scope="module")
def stopped(server: Server) -> dict[str, tuple[Any, Any]]:
    """What became of two calls of every method while the server stood still: one late, one cancelled.

    The server goes on afterwards, and finds them.
    """
    server.ask("digits.v1.ModelService/GetModel", model.GetModelRequest())
    with server.live.paused():
        calls = {
            name: (server.begin(name, timeout=SOON_S), server.begin(name, timeout=60)) for name in CONTRACT
        }
        for _, cancelled in calls.values():
            cancelled.cancel()
        return {name: (late.code(), cancelled.code()) for name, (late, cancelled) in calls.items()}


@pytest.mark.parametrize("name", IDS)
def test_a_call_ends_when_its_deadline_passes(server: Server, stopped: Any, name: str) -> None:
    assert stopped[name][0] is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("name", IDS)
def test_a_call_ends_when_its_caller_cancels_it(server: Server, stopped: Any, name: str) -> None:
    assert stopped[name][1] is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("name", IDS)
def test_a_method_answers_after_calls_that_nobody_waits_for_any_more(
    server: Server, stopped: Any, name: str
) -> None:
    call = server.begin(name, timeout=60)
    if CONTRACT[name].server_streaming:
        with contextlib.suppress(grpc.RpcError):
            list(call)
    assert call.code() not in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    )


def test_nothing_is_left_of_calls_that_nobody_waits_for(server: Server, stopped: Any) -> None:
    until(lambda: server.metric(r"digits_calls_waiting ") == 0, "calls are still waiting")


class Held:
    """Requests of a stream that stays open: the first is sent at once, none follows."""

    def __init__(self, request: Message) -> None:
        self._request: Message | None = request
        self._release = threading.Event()

    def __iter__(self) -> Held:
        return self

    def __next__(self) -> Message:
        if self._request is not None:
            request, self._request = self._request, None
            return request
        self._release.wait(PATIENCE_S)
        raise StopIteration

    def release(self) -> None:
        """Let the thread that sends go."""
        self._release.set()


@pytest.fixture
def held(server: Server) -> Iterator[Callable[..., Any]]:
    """`held(name, timeout)` opens a stream that only a deadline or its caller ends, and returns the call."""
    streams: list[Held] = []
    runs: list[str] = []

    def hold(name: str, timeout: float) -> Any:
        if name.endswith("WatchTraining"):
            runs.append(server.ask("digits.v1.TrainingService/StartTraining", LONG).training.training_id)
            call = server.method(name)(training.WatchTrainingRequest(training_id=runs[-1]), timeout=timeout)
            next(call)
            return call
        streams.append(Held(REQUESTS[name]))
        if not CONTRACT[name].server_streaming:
            return server.method(name).future(streams[-1], timeout=timeout)
        call = server.method(name)(streams[-1], timeout=timeout)
        next(call)
        return call

    yield hold
    for stream in streams:
        stream.release()
    for run in runs:
        cancel = training.CancelTrainingRequest(training_id=run)
        server.ask("digits.v1.TrainingService/CancelTraining", cancel)


@pytest.mark.parametrize("name", sorted(OPEN))
def test_the_server_ends_an_open_stream_when_its_deadline_passes(
    server: Server, held: Any, name: str
) -> None:
    before = server.ended(name, *LET_GO)
    call = held(name, 1.0)
    assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    if name not in server.uncounted:
        until(lambda: server.ended(name, *LET_GO) > before, "the server goes on with it")


@pytest.mark.parametrize("name", sorted(OPEN))
def test_the_server_ends_an_open_stream_when_its_caller_cancels(server: Server, held: Any, name: str) -> None:
    before, begun = server.ended(name, *LET_GO), server.started(name)
    call = held(name, 60.0)
    if not CONTRACT[name].server_streaming:
        until(lambda: server.started(name) > begun, "the server does not take it up")
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    if name not in server.uncounted:
        until(lambda: server.ended(name, *LET_GO) > before, "the server goes on with it")
