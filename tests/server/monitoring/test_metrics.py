"""What Prometheus is told by a live server."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from digits.v1 import (
    model_pb2,
    model_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
    sample_pb2,
    sample_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from prometheus_client.parser import text_string_to_metric_families

DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
PREDICT = {"grpc_service": "digits.v1.PredictionService", "grpc_method": "Predict", "grpc_type": "unary"}
LONG = training_pb2.StartTrainingRequest(
    recipe="classic", options=training_pb2.TrainingOptions(epochs=200, batch_size=8)
)
PATIENCE_S = 60.0

Metrics = Callable[..., float]


def scrape(port: object) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def measured(launch_server: Any) -> Any:
    """A server that tells its metrics."""
    return launch_server(DIGITS_MNIST="", DIGITS_METRICS_PORT="0")


@pytest.fixture
def metric(measured: Any) -> Metrics:
    """`metric(name, label=value)`: the sum of what the server tells at this moment."""
    port = measured.event("serving")["metrics_port"]

    def read(name: str, **labels: str) -> float:
        found = [
            sample.value
            for family in text_string_to_metric_families(scrape(port))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found)

    return read


@pytest.fixture
def channel(measured: Any) -> Iterator[grpc.Channel]:
    """A channel to it."""
    with measured.channel() as channel:
        yield channel


def predict(channel: grpc.Channel, image: prediction_pb2.Image = DIGIT) -> None:
    stub = prediction_pb2_grpc.PredictionServiceStub(channel)
    stub.Predict(prediction_pb2.PredictRequest(image=image), timeout=60)


def test_calls_are_counted_and_timed_by_method_and_code(channel: grpc.Channel, metric: Metrics) -> None:
    answered = metric("grpc_server_handled_total", grpc_code="OK", **PREDICT)
    refused = metric("grpc_server_handled_total", grpc_code="INVALID_ARGUMENT", **PREDICT)
    predict(channel)
    predict(channel)
    with pytest.raises(grpc.RpcError):
        predict(channel, prediction_pb2.Image(pixels=b"short"))
    assert metric("grpc_server_handled_total", grpc_code="OK", **PREDICT) == answered + 2
    assert metric("grpc_server_handled_total", grpc_code="INVALID_ARGUMENT", **PREDICT) == refused + 1
    times = metric("grpc_server_handling_seconds_count", grpc_code="OK", **PREDICT)
    assert times == metric("grpc_server_handling_seconds_bucket", grpc_code="OK", le="+Inf", **PREDICT)
    assert 0 < metric("grpc_server_handling_seconds_sum", grpc_code="OK", **PREDICT) < 10


def test_names_that_somebody_makes_up_are_counted_as_one(channel: grpc.Channel, metric: Metrics) -> None:
    before = metric("grpc_server_handled_total", grpc_code="UNIMPLEMENTED", grpc_method="unknown")
    for name in ("Guess", "Dream"):
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(f"/digits.v1.PredictionService/{name}")(b"", timeout=60)
    after = metric("grpc_server_handled_total", grpc_code="UNIMPLEMENTED", grpc_method="unknown")
    assert after == before + 2
    assert metric("grpc_server_handled_total", grpc_method="Guess") == 0


def test_the_engine_tells_the_sizes_of_its_batches_and_its_time(
    channel: grpc.Channel, metric: Metrics
) -> None:
    stub = prediction_pb2_grpc.PredictionServiceStub(channel)
    batches, images = metric("digits_batch_size_count"), metric("digits_batch_size_sum")
    stub.BatchPredict(prediction_pb2.BatchPredictRequest(images=[DIGIT] * 100), timeout=60)
    assert metric("digits_batch_size_sum") == images + 100
    assert metric("digits_batch_size_count") == batches + 2  # 64 go together at most.
    assert metric("digits_engine_seconds_count") == batches + 2
    assert metric("digits_engine_seconds_sum") > 0
    assert metric("digits_queue_depth") == 0


def test_the_deployed_version_is_told(channel: grpc.Channel, metric: Metrics) -> None:
    model = model_pb2_grpc.ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest(), timeout=60).model
    assert metric("digits_model_version") == model.model_version


def test_runs_are_told_by_state_and_those_that_wait_are_the_queue(
    channel: grpc.Channel, metric: Metrics
) -> None:
    service = training_pb2_grpc.TrainingServiceStub(channel)
    deadline = time.monotonic() + PATIENCE_S
    while not service.ListRecipes(training_pb2.ListRecipesRequest(), timeout=60).HasField("data_source"):
        assert time.monotonic() < deadline, "no digits"
        time.sleep(0.05)
    runs = [service.StartTraining(LONG, timeout=60).training.training_id for _ in range(3)]
    while metric("digits_trainings", state="running") != 1:
        assert time.monotonic() < deadline, "no run begins"
        time.sleep(0.05)
    assert metric("digits_trainings", state="queued") == 2
    for run in reversed(runs):
        service.CancelTraining(training_pb2.CancelTrainingRequest(training_id=run), timeout=60)
    assert metric("digits_trainings", state="cancelled") == 3
    assert metric("digits_trainings", state="queued") == metric("digits_trainings", state="running") == 0


def test_the_samples_are_told_by_what_they_are_used_for(channel: grpc.Channel, metric: Metrics) -> None:
    before = metric("digits_samples")
    service = sample_pb2_grpc.SampleServiceStub(channel)
    service.AddSample(sample_pb2.AddSampleRequest(image=DIGIT, label=3), timeout=60)
    assert metric("digits_samples") == before + 1
    assert metric("digits_samples", use="training") >= 1


def test_the_process_tells_its_memory(metric: Metrics) -> None:
    assert metric("process_resident_memory_bytes") > 20e6


def test_room_on_the_disk_and_damaged_versions_are_told(measured: Any, metric: Any) -> None:
    assert 0 < metric("digits_disk_free_bytes") < 2**60
    assert metric("digits_damaged_versions") == 0
    damaged = measured.data / "models" / "000077"
    damaged.mkdir()
    assert metric("digits_damaged_versions") == 1
    damaged.rmdir()
    assert metric("digits_damaged_versions") == 0


def test_nothing_else_is_told_at_that_port(measured: Any) -> None:
    port = measured.event("serving")["metrics_port"]
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/", timeout=60
        )
    assert raised.value.code == 404


def test_connections_that_say_nothing_take_few_threads_and_keep_nobody_out(measured: Any) -> None:
    port = int(measured.event("serving")["metrics_port"])
    process = psutil.Process(measured.pid)
    before = process.num_threads()
    idle = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(200)]
    try:
        for one in idle[::2]:
            with contextlib.suppress(OSError):
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        assert "digits_model_version" in scrape(port)
        # Those that were cut end within moments.
        deadline = time.monotonic() + PATIENCE_S
        while process.num_threads() > before + 40:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "digits_model_version" in scrape(port)
    finally:
        for one in idle:
            one.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
        bytes(range(256)) * 4 + b"\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:30]),
)
def test_what_is_no_request_is_answered_with_no_more_than_an_error(measured: Any, sent: bytes) -> None:
    port = int(measured.event("serving")["metrics_port"])
    answer = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
    ):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            answer += data
    assert b"digits_" not in answer
    assert b"Python" not in answer
    assert b"Traceback" not in answer


def test_a_replica_tells_of_its_predictions_and_of_no_runs(measured: Any, launch_server: Any) -> None:
    replica = launch_server("--read-only", data=measured.data, DIGITS_METRICS_PORT="0")
    told = scrape(replica.event("serving")["metrics_port"])
    assert "digits_model_version 1.0" in told
    assert "digits_trainings" not in told
    assert "digits_samples" not in told


def test_without_a_port_there_are_no_metrics(live_server: Any) -> None:
    assert live_server.event("serving")["metrics_port"] is None


def test_a_port_that_is_taken_is_refused_by_name(measured: Any, tmp_path: Path) -> None:
    environment = os.environ | {
        "DIGITS_PORT": "0",
        "DIGITS_DATA": str(tmp_path),
        "DIGITS_MNIST_URL": "",
        "DIGITS_METRICS_PORT": str(measured.event("serving")["metrics_port"]),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "digits: DIGITS_METRICS_PORT: cannot listen on 127.0.0.1:" in ended.stderr
