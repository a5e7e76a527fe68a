"""Every reason in docs/errors.md, provoked over a live channel, with the code and the details of its row."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from digits.oip import open_inference_pb2 as oip
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    model_pb2,
    prediction_pb2,
    sample_pb2,
    sweep_pb2,
    training_pb2,
)
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from sqlalchemy.exc import OperationalError

from server import errors
from server.admission import Admission
from server.rpc.backlog import Backlog
from server.rpc.interceptors import CallInterceptor

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "errors.md").read_text()
ROWS = {
    reason: (code, set(re.findall(r"\w+", details)) | {"ErrorInfo"})
    for reason, code, details in re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\|", DOCUMENT, re.MULTILINE)
}
PREDICTION, TRAINING = "/digits.v1.PredictionService", "/digits.v1.TrainingService"
EVALUATION, MODEL, SAMPLE, SWEEP = (
    "/digits.v1.EvaluationService",
    "/digits.v1.ModelService",
    "/digits.v1.SampleService",
    "/digits.v1.SweepService",
)
INFERENCE, HEALTH = "/inference.GRPCInferenceService", "/grpc.health.v1.Health"
PREDICT = f"{PREDICTION}/Predict"
DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
READABLE = prediction_pb2.PredictRequest(image=DIGIT)
LONG = training_pb2.StartTrainingRequest(
    recipe="classic", options=training_pb2.TrainingOptions(epochs=200, batch_size=8)
)
LONG_SWEEP = sweep_pb2.StartSweepRequest(
    recipe="classic-fast",
    options=training_pb2.TrainingOptions(epochs=200),
    ranges=[sweep_pb2.SweepRange(option="batch_size", values=["8", "9"])],
)
PATIENCE_S = 60.0


class Wire:
    """The live servers that refuse, each started when it is first needed."""

    damaged = 2
    """The version of `own` whose artifact is damaged."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.told = request.getfixturevalue("told")
        self.told_by = request.getfixturevalue("told_by")

    def __getattr__(self, name: str) -> grpc.Channel:
        connect = self._request.getfixturevalue("channel_to")
        return connect(self._request.getfixturevalue(name))

    def alone(self, why: str) -> None:
        """Say that what follows has nothing to do with the host, or is its own."""


class RayWire(Wire):
    """The cluster, which stands for those servers that are like it."""

    damaged = 3

    def __getattr__(self, name: str) -> grpc.Channel:
        if name == "guarded":
            return self._request.getfixturevalue("without_token")
        if name not in ("live_server", "own", "busy"):
            self.alone(f"{name} has settings that the one cluster of the tests has not")
        return super().__getattr__("busy_cluster" if name == "busy" else "live_cluster")

    def alone(self, why: str) -> None:
        pytest.skip(why)


@pytest.fixture(params=["server", "ray"])
def wire(request: pytest.FixtureRequest) -> Wire:
    """`wire.live_server` and others: a channel to the server of that fixture."""
    return Wire(request) if request.param == "server" else RayWire(request)


@pytest.fixture(scope="module")
def without_token(live_cluster: Any) -> Iterator[grpc.Channel]:
    """A channel to the cluster, which asks for tokens, that shows none."""
    with grpc.insecure_channel(live_cluster.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def own(launch_server: Any) -> Any:
    """A server of the built-in digits, with a second version whose artifact is damaged."""
    server = launch_server(DIGITS_MNIST="")
    models = server.data / "models"
    shutil.copytree(models / "000001", models / "000002")
    (models / "000002" / "model.onnx").write_bytes(b"damaged")
    server.stop()
    server.start()
    return server


@pytest.fixture(scope="module")
def busy(own: Any, channel_to: Any) -> Iterator[Any]:
    """The same server with one run that trains and as many that wait as may."""
    yield from occupied(own, channel_to(own))


@pytest.fixture(scope="module")
def busy_cluster(live_cluster: Any, channel_to: Any) -> Iterator[Any]:
    """The cluster with as many runs that wait as may: none of its nodes is large enough for one to begin."""
    yield from occupied(live_cluster, channel_to(live_cluster))


def occupied(server: Any, channel: grpc.Channel) -> Iterator[Any]:
    start = channel.unary_unary(
        f"{TRAINING}/StartTraining",
        training_pb2.StartTrainingRequest.SerializeToString,
        training_pb2.StartTrainingResponse.FromString,
    )
    wait_for_data(channel)
    runs: list[str] = []
    with contextlib.suppress(grpc.RpcError):
        while len(runs) < 100:
            runs.append(start(LONG, timeout=60).training.training_id)
    server.runs = runs
    yield server
    for run in runs:
        request = training_pb2.CancelTrainingRequest(training_id=run)
        channel.unary_unary(f"{TRAINING}/CancelTraining").future(request.SerializeToString()).exception(60)


@pytest.fixture(scope="module")
def empty_replica(launch_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A replica of a server that has deployed nothing yet."""
    return launch_server("--read-only", data=tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def guarded(launch_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that asks for tokens."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("predict 0123456789abcdef\n")
    return launch_server(DIGITS_MNIST="", DIGITS_TOKENS_FILE=str(tokens))


@pytest.fixture(scope="module")
def preparing(launch_server: Any) -> Iterator[Any]:
    """A server that downloads its digits from where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
        server = launch_server(DIGITS_MNIST="", DIGITS_MNIST_URL=url)
        yield server
        server.stop()


def wait_for_data(channel: grpc.Channel) -> None:
    ask = channel.unary_unary(
        f"{TRAINING}/ListRecipes", response_deserializer=training_pb2.ListRecipesResponse.FromString
    )
    deadline = time.monotonic() + PATIENCE_S
    while not ask(b"", timeout=60).HasField("data_source"):
        assert time.monotonic() < deadline, "the digits are not prepared"
        time.sleep(0.05)


def thrown(error: Exception) -> Callable[[Wire], Any]:
    """What a caller is told when a handler raises `error`: for what takes a bug, or too long, to provoke."""

    async def raising(request: bytes, context: Any) -> bytes:
        raise error

    async def call(wire: Wire) -> Any:
        wire.alone("raised in a server of this process, by the guard that both hosts have")
        backlog = Backlog()
        interceptor = CallInterceptor(backlog, Admission(backlog.waiting), frozenset())
        server = grpc.aio.server(interceptors=[interceptor])
        handlers = {"Predict": grpc.unary_unary_rpc_method_handler(raising)}
        service = grpc.method_handlers_generic_handler(PREDICTION.strip("/"), handlers)
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                with pytest.raises(grpc.RpcError) as raised:
                    await channel.unary_unary(PREDICT)(b"", timeout=60)
        finally:
            await server.stop(None)
        return wire.told_by(raised.value)

    return lambda wire: asyncio.run(call(wire))


def by_disk(code: int) -> Callable[[Wire], Any]:
    """What a caller is told when the system answers a write with this error."""
    return thrown(OSError(code, os.strerror(code)))


def by_sqlite(code: int) -> Callable[[Wire], Any]:
    """The same of the database, in the wrapping that it comes in."""
    fault = sqlite3.OperationalError("in SQLite's words")
    fault.sqlite_errorcode = code
    wrapped = OperationalError("INSERT", {}, fault)
    wrapped.__cause__ = fault
    return thrown(wrapped)


def by_postgresql() -> Callable[[Wire], Any]:
    """The same of a database on another machine, that cannot be reached."""
    fault = psycopg.OperationalError("connection refused")
    wrapped = OperationalError("SELECT", {}, fault)
    wrapped.__cause__ = fault
    return thrown(wrapped)


def asked(server: str, method: str, request: Any, **metadata: str) -> Callable[[Wire], Any]:
    """What a server tells of a request."""
    return lambda wire: wire.told(getattr(wire, server), method, request, tuple(metadata.items()))


def overloaded(wire: Wire) -> Any:
    """Hundreds at once, again and again, until one is refused."""
    predict = wire.own.unary_unary(PREDICT)
    # A file to decode: of raw pixels a client in Python cannot send more than are answered.
    sheet, file = Image.new("L", (560, 560), "white"), BytesIO()
    sheet.paste("black", (250, 80, 310, 480))
    sheet.save(file, "PNG")
    image = prediction_pb2.Image(encoded=file.getvalue())
    request = prediction_pb2.PredictRequest(image=image).SerializeToString()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        calls = [predict.future(request, timeout=60) for _ in range(900)]
        refusals = [call for call in calls if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
        if refusals:
            return wire.told_by(refusals[0])
    raise AssertionError("nothing was refused")


def shutting_down(wire: Wire) -> Any:
    """A watcher of a server that goes down. Server and watcher are of this test alone."""
    wire.alone("the one cluster of the tests goes on; its end has a test in tests/cluster")
    server = wire._request.getfixturevalue("launch_server")(DIGITS_MNIST="")
    failures: list[grpc.RpcError] = []
    is_watching = threading.Event()

    def watch() -> None:
        with server.channel() as channel:
            try:
                for _ in health_pb2_grpc.HealthStub(channel).Watch(
                    health_pb2.HealthCheckRequest(), timeout=60
                ):
                    is_watching.set()
            except grpc.RpcError as error:
                failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert is_watching.wait(60)
    server.stop()
    watcher.join(60)
    return wire.told_by(failures[0])


def runs_of(wire: Wire) -> list[str]:
    """The runs of the busy server, the one that waits longest first."""
    name = "busy_cluster" if isinstance(wire, RayWire) else "busy"
    runs: list[str] = wire._request.getfixturevalue(name).runs
    return runs


def without_samples(wire: Wire) -> Any:
    """What a server without any tells of a run that needs samples."""
    listed = wire.busy.unary_unary(
        f"{SAMPLE}/ListSamples", response_deserializer=sample_pb2.ListSamplesResponse.FromString
    )
    request = sample_pb2.ListSamplesRequest(page_size=1000)
    for sample in listed(request.SerializeToString(), timeout=60).samples:
        delete = sample_pb2.DeleteSampleRequest(sample_id=sample.sample_id)
        wire.busy.unary_unary(f"{SAMPLE}/DeleteSample")(delete.SerializeToString(), timeout=60)
    return wire.told(
        wire.busy, f"{TRAINING}/StartTraining", training_pb2.StartTrainingRequest(recipe="teach")
    )


def waiting_run(wire: Wire) -> str:
    """A run that waits in the busy server."""
    assert wire.busy
    return str(runs_of(wire)[-1])


def finished(wire: Wire) -> Any:
    """A run that is cancelled a second time."""
    runs = runs_of(wire)
    request = training_pb2.CancelTrainingRequest(training_id=runs[-2])
    channel = wire.busy
    channel.unary_unary(f"{TRAINING}/CancelTraining")(request.SerializeToString(), timeout=60)
    told = wire.told(channel, f"{TRAINING}/CancelTraining", request)
    start = channel.unary_unary(
        f"{TRAINING}/StartTraining", response_deserializer=training_pb2.StartTrainingResponse.FromString
    )
    # The place in the queue is filled again, for the others.
    runs[-2] = start(LONG.SerializeToString(), timeout=60).training.training_id
    return told


def too_many_transfers(wire: Wire) -> Any:
    """As many imports as may come at once, which never end, and one more."""
    is_over = threading.Event()

    def endless() -> Iterator[bytes]:
        yield sample_pb2.ImportSamplesRequest(chunk=b"P").SerializeToString()
        is_over.wait(2 * PATIENCE_S)

    method = wire.live_server.stream_unary(f"{SAMPLE}/ImportSamples")
    coming: list[Any] = []
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            refusals = [call for call in coming if call.done()]
            if refusals:
                return wire.told_by(refusals[0])
            if len(coming) < 30:
                coming.append(method.future(endless(), timeout=2 * PATIENCE_S))
            time.sleep(0.02)
    finally:
        is_over.set()
        for call in coming:
            call.cancel()
    raise AssertionError("nothing was refused")


def second_sweep(wire: Wire) -> tuple[Any, Any]:
    """What is told of a sweep that is started while another runs, and of that one when it is stopped again.

    Where the queue is full its trials do not even begin.
    """
    channel = wire.busy
    started = channel.unary_unary(
        f"{SWEEP}/StartSweep", response_deserializer=sweep_pb2.StartSweepResponse.FromString
    )(LONG_SWEEP.SerializeToString(), timeout=60)
    running = wire.told(channel, f"{SWEEP}/StartSweep", LONG_SWEEP)
    stop = sweep_pb2.StopSweepRequest(sweep_id=started.sweep.sweep_id)
    channel.unary_unary(f"{SWEEP}/StopSweep")(stop.SerializeToString(), timeout=60)
    return running, wire.told(channel, f"{SWEEP}/StopSweep", stop)


PROVOKED: dict[str, Callable[[Wire], Any]] = {
    "INVALID_ARGUMENT": asked("live_server", f"{MODEL}/DeployModel", model_pb2.DeployModelRequest()),
    "INVALID_IMAGE": asked("live_server", PREDICT, prediction_pb2.PredictRequest()),
    "BLANK_IMAGE": asked(
        "live_server",
        PREDICT,
        prediction_pb2.PredictRequest(image=prediction_pb2.Image(pixels=bytes(784))),
    ),
    "INVALID_OPTION": asked(
        "live_server", f"{TRAINING}/StartTraining", training_pb2.StartTrainingRequest(recipe="alchemy")
    ),
    "INVALID_PAGE_TOKEN": asked(
        "live_server", f"{MODEL}/ListModels", model_pb2.ListModelsRequest(page_token="made up")
    ),
    "INVALID_ARCHIVE": asked(
        "live_server", f"{SAMPLE}/ImportSamples", sample_pb2.ImportSamplesRequest(chunk=b"no archive")
    ),
    "MALFORMED_REQUEST": asked("live_server", PREDICT, b"\xff\xff\xff\xff"),
    "MESSAGE_TOO_LARGE": asked("live_server", PREDICT, bytes(64 * 2**20 + 1)),
    "TOKEN_MISSING": asked("guarded", PREDICT, READABLE),
    "TOKEN_UNKNOWN": asked("guarded", PREDICT, READABLE, authorization="Bearer made-up-0123456789"),
    "ROLE_TOO_LOW": asked(
        "guarded", f"{TRAINING}/StartTraining", LONG, authorization="Bearer 0123456789abcdef"
    ),
    "MODEL_NOT_FOUND": asked("live_server", f"{MODEL}/GetModel", model_pb2.GetModelRequest(model_version=99)),
    "UNKNOWN_MODEL": asked(
        "live_server", f"{INFERENCE}/ModelMetadata", oip.ModelMetadataRequest(name="cats")
    ),
    "TRAINING_NOT_FOUND": asked(
        "live_server", f"{TRAINING}/GetTraining", training_pb2.GetTrainingRequest(training_id="x")
    ),
    "EVALUATION_NOT_FOUND": asked(
        "live_server", f"{EVALUATION}/GetEvaluation", evaluation_pb2.GetEvaluationRequest(evaluation_id="x")
    ),
    "SWEEP_NOT_FOUND": asked("live_server", f"{SWEEP}/GetSweep", sweep_pb2.GetSweepRequest(sweep_id="x")),
    "SERVICE_NOT_FOUND": asked("live_server", f"{HEALTH}/Check", health_pb2.HealthCheckRequest(service="x")),
    "SAMPLE_NOT_FOUND": asked(
        "live_server", f"{SAMPLE}/DeleteSample", sample_pb2.DeleteSampleRequest(sample_id="x")
    ),
    "NOTHING_DEPLOYED": asked("empty_replica", PREDICT, READABLE),
    "NO_SAMPLES": without_samples,
    "BASE_VERSION_GONE": thrown(errors.BaseVersionGone(2, 1)),
    "DATASET_UNAVAILABLE": asked(
        "busy",
        f"{EVALUATION}/Evaluate",
        evaluation_pb2.EvaluateRequest(dataset=dataset_pb2.DATASET_MNIST_TEST),
    ),
    "TRAINED_ON_DATASET": thrown(errors.TrainedOnDataset("version 2 was trained on these digits")),
    "TRAINING_FINISHED": finished,
    "TRAINING_WAITING": lambda wire: wire.told(
        wire.busy,
        f"{TRAINING}/StopTraining",
        training_pb2.StopTrainingRequest(training_id=waiting_run(wire)),
    ),
    "SWEEP_FINISHED": lambda wire: second_sweep(wire)[1],
    "MODEL_CORRUPT": lambda wire: wire.told(
        wire.own, f"{MODEL}/DeployModel", model_pb2.DeployModelRequest(model_version=wire.damaged)
    ),
    "MODEL_IN_USE": asked("own", f"{MODEL}/DeleteModel", model_pb2.DeleteModelRequest(model_version=1)),
    "CALLER_ELSEWHERE": thrown(errors.CallerElsewhere()),
    "WORKER_LOST": thrown(errors.WorkerLost()),
    "DISK_READ_ONLY": by_disk(errno.EROFS),
    "DATABASE_DAMAGED": by_sqlite(sqlite3.SQLITE_CORRUPT),
    "READ_ONLY": asked("empty_replica", f"{TRAINING}/StartTraining", LONG),
    "TRAINING_QUEUE_FULL": asked("busy", f"{TRAINING}/StartTraining", LONG),
    "SWEEP_RUNNING": lambda wire: second_sweep(wire)[0],
    "TOO_MANY_TRANSFERS": too_many_transfers,
    "OVERLOADED": overloaded,
    "DISK_FULL": by_sqlite(sqlite3.SQLITE_FULL),
    "SAMPLES_FULL": thrown(errors.SamplesFull(1, 100_000)),
    "DATA_PREPARING": asked("preparing", f"{TRAINING}/StartTraining", LONG),
    "MODEL_NOT_READY": asked(
        "empty_replica",
        f"{INFERENCE}/ModelInfer",
        oip.ModelInferRequest(
            model_name="digits",
            inputs=[{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28, 1]}],
            raw_input_contents=[DIGIT.pixels],
        ),
    ),
    "DATABASE_BUSY": by_sqlite(sqlite3.SQLITE_BUSY),
    "DATABASE_UNREACHABLE": by_postgresql(),
    "DISK_FAILING": by_disk(errno.EIO),
    "ARTIFACTS_UNREACHABLE": thrown(errors.ArtifactsUnreachable()),
    "SHUTTING_DOWN": shutting_down,
    "DEADLINE_EXCEEDED": thrown(errors.DeadlineExceeded()),
    "UNSUPPORTED": asked(
        "live_server", f"{INFERENCE}/SystemSharedMemoryStatus", oip.SystemSharedMemoryStatusRequest()
    ),
    "UNKNOWN_METHOD": asked("live_server", f"{PREDICTION}/Guess", Empty()),
    "INTERNAL": thrown(ZeroDivisionError("a bug")),
}


def test_the_table_of_errors_is_that_of_the_code(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/document_errors.py", "--out", tmp_path / "errors.md"]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "errors.md").read_text() == DOCUMENT, "run `make docs`"


@pytest.mark.parametrize("reason", ROWS)
def test_a_reason_comes_over_the_wire_with_the_code_and_the_details_of_its_row(
    wire: Wire, reason: str
) -> None:
    told = PROVOKED[reason](wire)
    code, details = ROWS[reason]
    assert (told.code.name, told.reason) == (code, reason), told.message
    assert set(told.details) == details
    assert told.details["ErrorInfo"].domain == "digits"
    assert told.message
    assert told.request_id
    for name, detail in told.details.items():
        assert all(is_told(name, detail)), detail


def is_told(name: str, detail: Any) -> Iterator[Any]:
    """What a detail must not leave out."""
    if name == "BadRequest":
        yield from (one.field and one.description for one in detail.field_violations)
    elif name == "ResourceInfo":
        yield from (detail.resource_type, detail.resource_name, detail.description)
    elif name == "PreconditionFailure":
        yield from (one.type and one.subject and one.description for one in detail.violations)
    elif name == "RetryInfo":
        yield 0 < detail.retry_delay.ToTimedelta().total_seconds() <= 60
    else:
        yield detail.reason


def test_no_reason_is_provoked_that_is_not_in_the_table() -> None:
    assert set(PROVOKED) == set(ROWS)


def test_a_message_that_grpc_does_not_even_receive_ends_with_its_own_words(any_server: Any) -> None:
    with any_server.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(PREDICT)(bytes(128 * 2**20 + 1), timeout=60)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_of_any_length_fits_into_the_headers(wire: Wire) -> None:
    told = thrown(errors.ModelCorrupt("é" * 5000, model="é" * 5000))(wire)
    assert told.reason == "MODEL_CORRUPT"
    assert told.message.endswith("…")


def test_a_bug_tells_nothing_of_the_inside(wire: Wire) -> None:
    told = thrown(ZeroDivisionError("the secret of the house"))(wire)
    assert told.message == "an error inside the server; its log tells more"
