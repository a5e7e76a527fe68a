"""A request's id goes from the caller through the log and the training child, and back to the caller."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2, prediction_pb2, training_pb2, training_pb2_grpc
from google.protobuf.message import Message

DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))
PREDICT = "/digits.v1.PredictionService/Predict"
DEPLOY = "/digits.v1.ModelService/DeployModel"
REQUEST = prediction_pb2.PredictRequest(image=DIGIT)
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(launch_server: Any) -> Any:
    """A server whose log is read."""
    return launch_server(DIGITS_MNIST="")


@pytest.fixture
def channel(server: Any) -> Iterator[grpc.Channel]:
    """A channel to it."""
    with server.channel() as channel:
        yield channel


def id_of(channel: grpc.Channel, method: str, request: Message | bytes, sent: str | None) -> str:
    """The id that comes back with the answer, or with the refusal."""
    metadata = () if sent is None else (("x-request-id", sent),)
    data = request if isinstance(request, bytes) else request.SerializeToString()
    call = channel.unary_unary(method).future(data, metadata=metadata, timeout=60)
    return str(dict(call.trailing_metadata()).get("x-request-id", ""))


def lines(server: Any, request_id: str) -> list[dict[str, Any]]:
    """What the server's log holds of a call."""
    written = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in written if line.get("request_id") == request_id]


def test_the_callers_id_comes_back_with_the_answer(channel: grpc.Channel) -> None:
    for sent in ("order-4711", "3f2c1e4e-8f6b-4d0e-9d6d-0d8f5d1d2c3b", "a/b:c=d+e@f.g_h", "x" * 128):
        assert id_of(channel, PREDICT, REQUEST, sent) == sent


def test_the_callers_id_comes_back_with_a_refusal_and_is_in_its_line_of_the_log(
    server: Any, channel: grpc.Channel
) -> None:
    assert id_of(channel, DEPLOY, model_pb2.DeployModelRequest(), "refuse-me") == "refuse-me"
    (line,) = lines(server, "refuse-me")
    assert (line["event"], line["method"], line["reason"]) == ("refused", DEPLOY, "INVALID_ARGUMENT")


def test_without_an_id_every_call_gets_its_own(channel: grpc.Channel) -> None:
    ids = [id_of(channel, PREDICT, REQUEST, None) for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(ids)


@pytest.mark.parametrize("sent", ["", " ", "two words", "x" * 129, '"quoted"', "-rm", "a;b", "$(a)"])
def test_an_id_that_is_no_word_to_write_down_is_replaced(channel: grpc.Channel, sent: str) -> None:
    made = id_of(channel, PREDICT, REQUEST, sent)
    assert made
    assert made != sent


def test_a_call_that_cannot_even_be_read_has_its_id_too(channel: grpc.Channel) -> None:
    assert id_of(channel, PREDICT, b"\xff\xff", "unreadable") == "unreadable"
    assert id_of(channel, "/digits.v1.PredictionService/Guess", b"", "unknown") == "unknown"


def test_a_change_has_a_line_with_its_id_and_a_prediction_has_none(
    server: Any, channel: grpc.Channel
) -> None:
    id_of(channel, PREDICT, REQUEST, "just-a-look")
    id_of(channel, DEPLOY, model_pb2.DeployModelRequest(model_version=1), "the-change")
    deadline = time.monotonic() + PATIENCE_S
    while not (called := [line for line in lines(server, "the-change") if line["event"] == "called"]):
        assert time.monotonic() < deadline, "the change is not in the log"
        time.sleep(0.02)
    assert (called[0]["method"], called[0]["code"]) == (DEPLOY, "OK")
    assert called[0]["took_s"] >= 0
    assert called[0]["peer"].startswith("ipv4:127.0.0.1:")
    # Written on another thread than the call's own.
    assert "deployed" in {line["event"] for line in lines(server, "the-change")}
    assert lines(server, "just-a-look") == []


def test_the_training_child_writes_the_id_of_the_call_that_asked_for_it(
    server: Any, channel: grpc.Channel
) -> None:
    service = training_pb2_grpc.TrainingServiceStub(channel)
    deadline = time.monotonic() + PATIENCE_S
    while not service.ListRecipes(training_pb2.ListRecipesRequest(), timeout=60).HasField("data_source"):
        assert time.monotonic() < deadline, "no digits"
        time.sleep(0.05)
    options = training_pb2.TrainingOptions(epochs=200, batch_size=8)
    request = training_pb2.StartTrainingRequest(recipe="classic", options=options)
    run = service.StartTraining(request, metadata=(("x-request-id", "teach-it"),), timeout=60).training
    while not (told := childs_lines(server, run.training_id)):
        assert time.monotonic() < deadline, "the child writes nothing"
        time.sleep(0.05)
    cancel = training_pb2.CancelTrainingRequest(training_id=run.training_id)
    service.CancelTraining(cancel, metadata=(("x-request-id", "stop-it"),), timeout=60)
    assert told[0]["event"] == "training begins"
    assert {line.get("request_id") for line in told} == {"teach-it"}
    expected = {"training queued", "training started", "training ended", "called"}
    while not expected <= {line["event"] for line in lines(server, "teach-it")}:
        assert time.monotonic() < deadline, lines(server, "teach-it")
        time.sleep(0.05)
    assert "called" in {line["event"] for line in lines(server, "stop-it")}


def childs_lines(server: Any, training_id: str) -> list[dict[str, Any]]:
    """What the training child of a run has written into its log, whole lines only."""
    return [
        json.loads(line)
        for path in (server.data / "logs").rglob(f"*{training_id}*.log")
        for line in path.read_text(errors="replace").splitlines(keepends=True)
        if line.startswith("{") and line.endswith("\n")
    ]
