"""What a client does when a call fails: it waits as told, and repeats what it may, inside the deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from digits.client import AsyncClient, Client, ClientError, Deadlines, Refused, ServerFault, ServerUnavailable
from digits.v1 import model_pb2, sample_pb2, training_pb2

DELAY_S = 0.15
OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED
AWAY = grpc.StatusCode.UNAVAILABLE


class Waiting:
    """The asyncio client, called as the other is: so that one test holds for both."""

    def __init__(self, address: str, **settings: Any) -> None:
        self._client = AsyncClient.__new__(AsyncClient)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(address, settings))

    async def _open(self, address: str, settings: dict[str, Any]) -> None:
        self._client.__init__(address, **settings)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            answer = getattr(self._client, name)(*arguments, **options)
            return (
                self._each(answer)
                if isinstance(answer, AsyncIterator)
                else self._loop.run_until_complete(answer)
            )

        return call

    def _each(self, answers: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(answers))
            except StopAsyncIteration:
                return

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


@pytest.fixture(params=[Client, Waiting], ids=["sync", "asyncio"])
def connect(request: Any) -> Iterator[Callable[..., Any]]:
    """`connect(address, …)`: a client, of either kind."""
    clients: list[Any] = []

    def open_one(address: str, **settings: Any) -> Any:
        clients.append(request.param(address, **settings))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def failing(stand_in: Any, refuse: Any) -> Callable[..., Any]:
    """`failing(times, code, …)`: a server that refuses the first calls like this, then answers."""

    def start(times: int, code: grpc.StatusCode, **details: Any) -> Any:
        def behave(arrived: Any, context: Any) -> Iterator[Any]:
            if len(server.calls) <= times:
                refuse(context, code, **details)
            name = arrived.path.rpartition("/")[2]
            if name == "StartTraining":
                yield training_pb2.StartTrainingResponse(training={"training_id": "run"})
            elif name == "CancelTraining":
                yield training_pb2.CancelTrainingResponse(training={"training_id": "run"})
            else:
                yield model_pb2.GetModelResponse(model={"model_version": 7})

        server = stand_in(behave)
        return server

    return start


def test_an_overloaded_server_is_asked_again_after_the_delay_that_it_asks_for(
    connect: Any, failing: Any
) -> None:
    server = failing(2, OVERLOADED, reason="OVERLOADED", retry_after_s=DELAY_S)

    assert connect(server.address).get_model().model_version == 7

    first, second, third = (call.at for call in server.calls)
    assert second - first >= DELAY_S
    assert third - second >= DELAY_S


def test_what_an_overloaded_server_did_not_do_is_asked_again_even_if_it_must_not_be_done_twice(
    connect: Any, failing: Any
) -> None:
    server = failing(1, OVERLOADED, reason="OVERLOADED", retry_after_s=DELAY_S)

    assert connect(server.address).cancel_training("run").training_id == "run"


def test_a_delay_beyond_the_deadline_is_a_refusal_at_once(connect: Any, failing: Any) -> None:
    server = failing(1, OVERLOADED, reason="OVERLOADED", retry_after_s=60)

    with pytest.raises(Refused) as refusal:
        connect(server.address).get_model()

    assert (refusal.value.code, refusal.value.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert refusal.value.retry_after_s == 60
    assert len(server.calls) == 1


@pytest.mark.parametrize("code", [AWAY, grpc.StatusCode.CANCELLED], ids=["away", "going down"])
def test_a_read_is_repeated_while_the_server_is_unavailable_under_the_same_id(
    connect: Any, failing: Any, code: grpc.StatusCode
) -> None:
    server = failing(2, code)

    assert connect(server.address).get_model().model_version == 7

    assert len(server.calls) == 3
    assert len({call.metadata["x-request-id"] for call in server.calls}) == 1


def test_a_repeated_start_names_the_same_request_so_that_one_run_starts(connect: Any, failing: Any) -> None:
    server = failing(1, AWAY)

    connect(server.address).start_training("classic")

    first, second = (call.requests[0].request_id for call in server.calls)
    assert first == second != ""


@pytest.mark.parametrize("code", [AWAY, grpc.StatusCode.CANCELLED], ids=["away", "going down"])
def test_what_must_not_be_done_twice_is_sent_once(connect: Any, failing: Any, code: grpc.StatusCode) -> None:
    server = failing(1, code)

    with pytest.raises(ServerUnavailable):
        connect(server.address).cancel_training("run")

    assert len(server.calls) == 1


def test_a_client_gives_up_after_a_few_attempts(connect: Any, failing: Any) -> None:
    server = failing(99, AWAY)

    with pytest.raises(ServerUnavailable) as away:
        connect(server.address, retries=2).get_model()

    assert len(server.calls) == 3
    assert away.value.request_id == server.calls[0].metadata["x-request-id"]
    assert server.address in away.value.message


@pytest.mark.parametrize(
    "code", ["INTERNAL", "UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"]
)
def test_what_another_attempt_would_not_change_is_not_repeated(connect: Any, failing: Any, code: str) -> None:
    server = failing(1, grpc.StatusCode[code], reason="WHY", field="model_version")

    with pytest.raises(ClientError) as failed:
        connect(server.address).get_model()

    assert len(server.calls) == 1
    assert (failed.value.code, failed.value.reason) == (code, "WHY")
    if code in ("INTERNAL", "UNKNOWN"):
        assert isinstance(failed.value, ServerFault)
    else:
        assert isinstance(failed.value, Refused)
        assert (failed.value.field, failed.value.message) == ("model_version", "is wrong")


def test_a_server_without_the_method_is_called_too_old(connect: Any, failing: Any) -> None:
    server = failing(1, grpc.StatusCode.UNIMPLEMENTED)

    with pytest.raises(ServerFault, match="older"):
        connect(server.address).get_model()


def test_a_slow_server_is_told_so_at_the_deadline_and_the_deadline_reaches_it(
    connect: Any, stand_in: Any
) -> None:
    ended = threading.Event()

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        assert ended.wait(60)
        yield model_pb2.GetModelResponse()

    server = stand_in(behave)
    client = connect(server.address)
    began = time.monotonic()
    with pytest.raises(ServerUnavailable) as slow:
        client.get_model(timeout_s=0.3)
    took_s = time.monotonic() - began
    ended.set()

    assert slow.value.is_slow
    assert slow.value.code == "DEADLINE_EXCEEDED"
    assert took_s >= 0.3
    # gRPC rounds the time that it sends.
    assert [call.left_s < 1 for call in server.calls] == [True]


def test_a_client_has_deadlines_of_its_own(connect: Any, failing: Any) -> None:
    server = failing(0, AWAY)

    connect(server.address, deadlines=Deadlines(read_s=77)).get_model()

    # On the wire a deadline is rounded up.
    assert 70 < server.calls[0].left_s <= 78


def test_attempts_end_with_the_deadline(connect: Any, failing: Any) -> None:
    server = failing(10_000, AWAY)
    began = time.monotonic()

    with pytest.raises(ServerUnavailable):
        connect(server.address, retries=10_000).get_model(timeout_s=1)

    assert 2 <= len(server.calls) < 20
    assert time.monotonic() - began < 30


def test_a_run_is_followed_across_a_server_that_vanishes_and_comes_back(connect: Any, stand_in: Any) -> None:
    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        state = "TRAINING_STATE_RUNNING" if len(server.calls) == 1 else "TRAINING_STATE_SUCCEEDED"
        yield training_pb2.WatchTrainingResponse(training={"training_id": "run", "state": state})
        if len(server.calls) == 1:
            assert gone.wait(60)

    gone = threading.Event()
    server = stand_in(behave)
    states = []
    for run in connect(server.address, retries=100).watch_training("run"):
        states.append(run.state.name)
        if len(states) == 1:
            server.vanish()
            gone.set()
            server.start()

    assert states == ["RUNNING", "SUCCEEDED"]


def test_half_an_archive_is_no_archive(connect: Any, stand_in: Any, refuse: Any) -> None:
    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        yield sample_pb2.ExportSamplesResponse(chunk=b"half")
        refuse(context, AWAY)

    server = stand_in(behave)
    got = []
    with pytest.raises(ServerUnavailable):
        got.extend(connect(server.address).export_samples())

    assert len(server.calls) == 1


def test_a_damaged_export_is_not_given_out(connect: Any, stand_in: Any) -> None:
    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        yield model_pb2.ExportModelResponse(header={"bytes": 4, "sha256": "0" * 64})
        yield model_pb2.ExportModelResponse(chunk=b"data")

    with pytest.raises(ServerFault, match="damaged"):
        connect(stand_in(behave).address).export_model(4)


def test_a_fault_of_the_images_own_is_the_callers(connect: Any, stand_in: Any, fill: Any) -> None:
    def images() -> Iterator[bytes]:
        yield b"png"
        raise OSError("no such file")

    def behave(arrived: Any, context: Any) -> Iterator[Any]:
        yield from ()

    with pytest.raises(OSError, match="no such file"):
        list(connect(stand_in(behave).address).stream_predict(images()))
