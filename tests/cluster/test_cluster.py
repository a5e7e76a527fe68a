"""The services on Ray as a whole: who may call, deployments followed, processes killed, an orderly end.

The cluster is that of all suites, so the tests here leave it as it was, and the one that ends it comes last.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from digits.client import Client, ClientError
from digits.v1 import model_pb2, prediction_pb2, sample_pb2, training_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from live_cluster import PREDICT_TOKEN, TRAIN_TOKEN

PIXELS = np.zeros((28, 28), np.uint8)
PIXELS[4:24, 13:16] = 255
DIGIT = prediction_pb2.Image(pixels=PIXELS.tobytes())
REQUEST = prediction_pb2.PredictRequest(image=DIGIT)
MODEL, SAMPLE = "/digits.v1.ModelService", "/digits.v1.SampleService"
# Within this a deployment is followed, and a little for a machine with much else to do.
FOLLOWED_S = 2.0
ANSWER_S = 60.0

Until = Callable[..., Any]


def predict(channel: grpc.Channel) -> Any:
    return channel.unary_unary(
        "/digits.v1.PredictionService/Predict",
        prediction_pb2.PredictRequest.SerializeToString,
        prediction_pb2.PredictResponse.FromString,
    )


def deploy(channel: grpc.Channel, version: int) -> None:
    request = model_pb2.DeployModelRequest(model_version=version)
    channel.unary_unary(f"{MODEL}/DeployModel")(request.SerializeToString(), timeout=ANSWER_S)


def client(cluster: Any, retries: int = 20) -> Client:
    return Client(cluster.address, token=TRAIN_TOKEN, retries=retries)


def test_a_token_is_asked_for_by_the_ingress_of_every_machine(live_cluster: Any) -> None:
    with grpc.insecure_channel(live_cluster.address) as channel:
        for token, code in ((None, "UNAUTHENTICATED"), ("made-up-0123456789", "UNAUTHENTICATED")):
            shown = () if token is None else (("authorization", f"Bearer {token}"),)
            with pytest.raises(grpc.RpcError) as refused:
                predict(channel)(REQUEST, metadata=shown, timeout=ANSWER_S)
            assert refused.value.code().name == code
        shown = (("authorization", f"Bearer {PREDICT_TOKEN}"),)
        assert predict(channel)(REQUEST, metadata=shown, timeout=ANSWER_S).model_version
        start = channel.unary_unary("/digits.v1.TrainingService/StartTraining")
        request = training_pb2.StartTrainingRequest(recipe="classic").SerializeToString()
        with pytest.raises(grpc.RpcError) as refused:
            start(request, metadata=shown, timeout=ANSWER_S)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def address_of_this_machine() -> str:
    """One that others reach it by; empty when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: it is only looked up which way that would go.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def test_who_does_not_call_by_loopback_is_refused_where_only_this_machine_is_served(
    live_cluster: Any,
) -> None:
    address = address_of_this_machine()
    if not address or address.startswith("127."):
        pytest.skip("this machine has no address but that of loopback")
    with grpc.insecure_channel(f"{address}:{live_cluster.port}") as channel:
        shown = (("authorization", f"Bearer {TRAIN_TOKEN}"),)
        with pytest.raises(grpc.RpcError) as refused:
            predict(channel)(REQUEST, metadata=shown, timeout=ANSWER_S)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "DIGITS_HOST" in refused.value.details()


@pytest.mark.parametrize(
    "method",
    [
        "/digits.v1.PredictionService/Predict",
        "/digits.v1.PredictionService/StreamPredict",
        f"{MODEL}/GetModel",
        "/digits.v1.TrainingService/WatchTraining",
        f"{SAMPLE}/ImportSamples",
    ],
)
def test_who_may_not_call_is_refused_before_the_first_request(live_cluster: Any, method: str) -> None:
    is_over = threading.Event()

    def nothing() -> Any:
        is_over.wait(ANSWER_S)
        yield from ()

    with grpc.insecure_channel(live_cluster.address) as channel:
        call = channel.stream_stream(method)(nothing(), timeout=ANSWER_S)
        assert call.code() is grpc.StatusCode.UNAUTHENTICATED
        is_over.set()


def test_a_call_keeps_the_id_that_its_caller_gave_it(live_cluster: Any) -> None:
    with live_cluster.channel() as channel:
        named = (("x-request-id", "of-the-caller"),)
        _, call = predict(channel).with_call(REQUEST, metadata=named, timeout=ANSWER_S)
        assert dict(call.trailing_metadata())["x-request-id"] == "of-the-caller"
        _, call = predict(channel).with_call(REQUEST, timeout=ANSWER_S)
        assert dict(call.trailing_metadata())["x-request-id"]


def test_nothing_else_on_their_machine_goes_before_predictors_and_lab(live_cluster: Any) -> None:
    assert {process.nice() for process in [*live_cluster.predictors(), live_cluster.lab()]} == {0}


def test_every_predictor_follows_a_deployment_within_two_seconds(live_cluster: Any, until: Until) -> None:
    with live_cluster.channel() as channel:
        for version in (2, 1):
            deploy(channel, version)
            deployed_at = time.monotonic()
            # The last answer of the version before, of whichever predictor.
            last_old = deployed_at

            def has_followed(version: int = version, since: float = deployed_at) -> bool:
                nonlocal last_old
                if predict(channel)(REQUEST, timeout=ANSWER_S).model_version != version:
                    last_old = time.monotonic()
                return time.monotonic() - max(last_old, since) > FOLLOWED_S

            until(has_followed, "the predictors do not follow")
            assert last_old - deployed_at <= FOLLOWED_S


class Load:
    """Clients that predict one after the other, and note what they are told."""

    def __init__(self, cluster: Any, clients: int = 4) -> None:
        self._cluster = cluster
        self.wrong: list[Any] = []
        self.codes: Counter[str] = Counter()
        self.answered = 0
        self._is_over = threading.Event()
        works = [self._patient] * (clients // 2) + [self._impatient] * (clients - clients // 2)
        self._threads = [threading.Thread(target=work) for work in works]

    def __enter__(self) -> Load:
        with client(self._cluster) as one:
            self._right = one.predict_pixels(PIXELS).prediction.digit
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_S)

    def _patient(self) -> None:
        """As people call: what fails is sent again by the client."""
        with client(self._cluster) as one:
            while not self._is_over.is_set():
                try:
                    self._note(one.predict_pixels(PIXELS, timeout_s=ANSWER_S).prediction.digit)
                except ClientError as error:
                    self.wrong.append(error)

    def _impatient(self) -> None:
        """Without a second attempt: every failure is seen."""
        with self._cluster.channel() as channel:
            while not self._is_over.is_set():
                try:
                    self._note(predict(channel)(REQUEST, timeout=ANSWER_S).prediction.digit)
                except grpc.RpcError as error:
                    self.codes[error.code().name] += 1
                    if "Traceback" in error.details() or "ray" in error.details().lower():
                        self.wrong.append(error.details())
                    time.sleep(0.02)

    def _note(self, digit: int) -> None:
        self.answered += 1
        if digit != self._right:
            self.wrong.append(digit)


def test_a_predictor_that_is_killed_under_load_costs_no_answer(live_cluster: Any, until: Until) -> None:
    before = {process.pid for process in live_cluster.predictors()}
    assert len(before) == 2
    with Load(live_cluster) as load:
        until(lambda: load.answered > 50, "nothing is answered")
        live_cluster.predictors()[0].kill()
        killed = load.answered
        until(lambda: load.answered > killed + 100, "nothing is answered any more")
        until(lambda: len({one.pid for one in live_cluster.predictors()} - before) == 1, "none comes anew")
        anew = load.answered
        until(lambda: load.answered > anew + 100, "the new one answers nothing")
    assert load.wrong == []
    assert set(load.codes) <= {"UNAVAILABLE"}


def test_a_machine_that_dies_under_load_costs_no_answer(live_cluster: Any, until: Until) -> None:
    with Load(live_cluster) as load:
        until(lambda: load.answered > 50, "nothing is answered")
        live_cluster.nodes.kill_worker()
        killed = load.answered
        until(lambda: load.answered > killed + 200, "nothing is answered any more")
        until(lambda: len(live_cluster.predictors()) == 2, "the other machine does not take its predictors")
        live_cluster.nodes.add_worker()
        back = load.answered
        until(lambda: load.answered > back + 100, "nothing is answered any more")
    assert load.wrong == []
    assert set(load.codes) <= {"UNAVAILABLE"}


def test_a_lab_that_is_killed_goes_on_with_everything_it_acknowledged(
    live_cluster: Any, until: Until
) -> None:
    with live_cluster.channel() as channel, Load(live_cluster, clients=2) as load:
        add = channel.unary_unary(
            f"{SAMPLE}/AddSample", response_deserializer=sample_pb2.AddSampleResponse.FromString
        )
        request = sample_pb2.AddSampleRequest(image=DIGIT, label=3).SerializeToString()
        kept = add(request, timeout=ANSWER_S).sample.sample_id
        before = live_cluster.lab().pid
        live_cluster.lab().kill()
        codes: set[str] = set()
        delete = sample_pb2.DeleteSampleRequest(sample_id=kept).SerializeToString()

        def is_deleted() -> bool:
            call = channel.unary_unary(f"{SAMPLE}/DeleteSample").future(delete, timeout=ANSWER_S)
            codes.add(call.code().name)
            return call.code() is grpc.StatusCode.OK

        until(is_deleted, "the lab does not come back with what it has acknowledged")
        assert live_cluster.lab().pid != before
    assert codes <= {"OK", "UNAVAILABLE"}
    assert load.answered
    assert load.wrong == []
    assert set(load.codes) <= {"UNAVAILABLE"}


def test_the_services_end_in_order_and_come_back_with_their_data(live_cluster: Any, until: Until) -> None:
    told: list[grpc.RpcError] = []
    is_watching = threading.Event()

    def watch() -> None:
        with live_cluster.channel() as channel:
            try:
                for _ in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                    is_watching.set()
            except grpc.RpcError as error:
                told.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert is_watching.wait(ANSWER_S)
    assert live_cluster.stop() == 0
    watcher.join(ANSWER_S)
    assert told[0].code() is grpc.StatusCode.UNAVAILABLE
    assert "going down" in told[0].details()
    assert [event["event"] for event in live_cluster.events()][-2:] == ["draining", "stopped"]
    assert not live_cluster.predictors()
    live_cluster.start()
    with client(live_cluster) as one:
        assert [model.model_version for model in one.list_models().models] == [3, 2, 1]
