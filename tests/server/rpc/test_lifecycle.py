"""Starting, crashing, restarting and going down in order; health and reflection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2, prediction_pb2, training_pb2
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

SERVICES = (
    "digits.v1.PredictionService",
    "digits.v1.TrainingService",
    "digits.v1.EvaluationService",
    "digits.v1.ModelService",
    "digits.v1.SampleService",
    "digits.v1.SweepService",
)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_every_service_is_healthy(live_server: Any, service: str) -> None:
    with live_server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_an_unknown_service_is_not_found(live_server: Any) -> None:
    with live_server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=60)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(live_server: Any) -> None:
    with live_server.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (reply,) = stub.ServerReflectionInfo(iter([request]), timeout=60)
    assert set(SERVICES) <= {service.name for service in reply.list_services_response.service}


@pytest.mark.parametrize("service", SERVICES)
def test_bytes_that_are_no_message_are_refused_as_invalid_by_every_method(
    live_server: Any, service: str
) -> None:
    methods = descriptor_pool.Default().FindServiceByName(service).methods
    with live_server.channel() as channel:
        for method in methods:
            path = f"/{service}/{method.name}"
            call = channel.unary_stream if method.server_streaming else channel.unary_unary
            request: Any = b"\xff\xff\xff\xff"
            if method.client_streaming:
                call, request = channel.stream_stream, iter([request])
            with pytest.raises(grpc.RpcError) as raised:
                list(call(path)(request, timeout=60))
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT, path
            assert method.full_name.rsplit(".", 1)[0] in raised.value.details()


def test_an_unknown_method_is_unimplemented(live_server: Any) -> None:
    with live_server.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/digits.v1.PredictionService/Guess")(b"", timeout=60)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_second_server_on_the_port_is_refused_and_the_first_goes_on(
    live_server: Any, tmp_path: Path
) -> None:
    environment = os.environ | {
        "DIGITS_PORT": str(live_server.port),
        "DIGITS_DATA": str(tmp_path),
        "DIGITS_MNIST_URL": "",
    }
    second = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert f"DIGITS_PORT: cannot listen on {live_server.address}" in second.stderr
    with live_server.channel() as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)


def test_a_server_that_is_ended_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    environment = os.environ | {"DIGITS_PORT": "0", "DIGITS_DATA": str(tmp_path), "DIGITS_MNIST_URL": ""}
    process = subprocess.Popen([sys.executable, "-m", "server"], env=environment, stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    deadline = time.monotonic() + 60
    while not _handles_sigterm(status):
        assert time.monotonic() < deadline, "SIGTERM is not handled"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.skipif(
    subprocess.run(["unshare", "--fork", "--pid", "true"], capture_output=True).returncode != 0,
    reason="needs the right to make a process namespace",
)
def test_as_process_1_of_a_container_it_ends_in_order_too(tmp_path: Path) -> None:
    environment = os.environ | {"DIGITS_PORT": "0", "DIGITS_DATA": str(tmp_path), "DIGITS_MNIST_URL": ""}
    log = tmp_path / "log"
    # Its parent is not in the namespace, so that the server is process 1 there.
    command = ["unshare", "--fork", "--pid", "--kill-child", sys.executable, "-m", "server"]
    with log.open("w") as file:
        unshare = subprocess.Popen(command, env=environment, stderr=file)
    deadline = time.monotonic() + 60
    while '"serving"' not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    (server,) = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    os.kill(int(server), signal.SIGTERM)
    assert unshare.wait(60) == 0
    assert '"stopped"' in log.read_text()


def _handles_sigterm(status: Path) -> bool:
    (caught,) = [line for line in status.read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="module")
def own_server(launch_server: Any) -> Any:
    """A server to be killed and restarted."""
    return launch_server(DIGITS_MNIST="")


def test_state_survives_a_kill(own_server: Any, stubs_of: Any, seven: Any) -> None:
    stubs = stubs_of(own_server)
    image = prediction_pb2.Image(pixels=seven.tobytes())
    before = stubs.prediction.Predict(prediction_pb2.PredictRequest(image=image), timeout=60)
    models = stubs.model.ListModels(model_pb2.ListModelsRequest(), timeout=60)
    own_server.kill()
    own_server.start()
    stubs = stubs_of(own_server)
    after = stubs.prediction.Predict(
        prediction_pb2.PredictRequest(image=image), timeout=60, wait_for_ready=True
    )
    assert after.prediction == before.prediction
    assert stubs.model.ListModels(model_pb2.ListModelsRequest(), timeout=60) == models


def test_a_run_that_a_kill_cut_off_goes_on_with_another_child(own_server: Any, stubs_of: Any) -> None:
    stubs = stubs_of(own_server)
    run = _start_long(stubs)
    child = _child_of(own_server.pid)
    own_server.kill()
    own_server.start()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline, "the child outlived its server"
        time.sleep(0.05)
    stubs = stubs_of(own_server)
    request = training_pb2.GetTrainingRequest(training_id=run)
    training = stubs.training.GetTraining(request, timeout=60, wait_for_ready=True).training
    assert training.state in (training_pb2.TRAINING_STATE_QUEUED, training_pb2.TRAINING_STATE_RUNNING)
    assert training.resumes == 1
    assert _child_of(own_server.pid) != child
    stubs.training.CancelTraining(training_pb2.CancelTrainingRequest(training_id=run), timeout=60)


def test_sigterm_ends_watchers_and_the_child_and_leaves_the_run_to_the_next_server(
    own_server: Any, stubs_of: Any
) -> None:
    stubs = stubs_of(own_server)
    run = _start_long(stubs)
    child = _child_of(own_server.pid)
    codes: list[grpc.StatusCode] = []
    is_watching, is_watching_health = threading.Event(), threading.Event()

    def watch() -> None:
        try:
            for _ in stubs.training.WatchTraining(
                training_pb2.WatchTrainingRequest(training_id=run), timeout=60
            ):
                is_watching.set()
        except grpc.RpcError as error:
            codes.append(error.code())

    def watch_health() -> None:
        stub = health_pb2_grpc.HealthStub(stubs.channel)
        try:
            for reply in stub.Watch(health_pb2.HealthCheckRequest(), timeout=60):
                statuses.append(reply.status)
                is_watching_health.set()
        except grpc.RpcError as error:
            codes.append(error.code())

    statuses: list[int] = []
    watchers = [threading.Thread(target=watch), threading.Thread(target=watch_health)]
    for watcher in watchers:
        watcher.start()
    assert is_watching.wait(60)
    assert is_watching_health.wait(60)
    assert own_server.stop(timeout_s=60) == 0
    for watcher in watchers:
        watcher.join(60)
    assert codes == [grpc.StatusCode.UNAVAILABLE] * 2
    assert statuses[-1] == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not Path(f"/proc/{child}").exists()

    own_server.start()
    stubs = stubs_of(own_server)
    request = training_pb2.GetTrainingRequest(training_id=run)
    training = stubs.training.GetTraining(request, timeout=60, wait_for_ready=True).training
    # An orderly end is none of the two times that a run goes on by itself.
    assert (training.resumes, training.failure_reason) == (0, "")
    stubs.training.CancelTraining(training_pb2.CancelTrainingRequest(training_id=run), timeout=60)


def test_a_training_has_a_group_of_its_own_in_the_servers_session_where_its_niceness_counts(
    own_server: Any, stubs_of: Any
) -> None:
    stubs = stubs_of(own_server)
    run = _start_long(stubs)
    child = _child_of(own_server.pid)
    assert os.getpgid(child) == child
    assert os.getsid(child) == os.getsid(own_server.pid)
    stubs.training.CancelTraining(training_pb2.CancelTrainingRequest(training_id=run), timeout=60)


def _start_long(stubs: Any) -> str:
    options = training_pb2.TrainingOptions(epochs=200, batch_size=8)
    request = training_pb2.StartTrainingRequest(recipe="classic", options=options)
    deadline = time.monotonic() + 60
    while not stubs.training.ListRecipes(training_pb2.ListRecipesRequest(), timeout=60).HasField(
        "data_source"
    ):
        assert time.monotonic() < deadline, "the digits are not prepared"
        time.sleep(0.05)
    return str(stubs.training.StartTraining(request, timeout=60).training.training_id)


def _child_of(pid: int) -> int:
    deadline = time.monotonic() + 60
    while True:
        listed = subprocess.run(
            ["pgrep", "-P", str(pid), "-f", "server.trainer"], capture_output=True, text=True
        )
        if listed.stdout.split():
            return int(listed.stdout.split()[0])
        assert time.monotonic() < deadline, "no child was started"
        time.sleep(0.05)
