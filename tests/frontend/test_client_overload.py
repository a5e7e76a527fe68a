"""A client that is refused for a while comes back when it was told to, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from digits.v1 import model_pb2, model_pb2_grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from frontend.client import Client
from frontend.errors import Refused

DELAY_S = 0.15


class Busy(model_pb2_grpc.ModelServiceServicer):
    """Stands for a server under load: refuses the first `refusals` calls, then answers."""

    def __init__(self, refusals: int, delay_s: float) -> None:
        self.calls: list[float] = []
        self._refusals = refusals
        self._delay_s = delay_s

    def GetModel(self, request: Any, context: Any) -> model_pb2.GetModelResponse:
        self.calls.append(time.monotonic())
        if len(self.calls) <= self._refusals:
            delay = Duration()
            delay.FromNanoseconds(int(self._delay_s * 1e9))
            context.abort_with_status(rpc_status.to_status(_status(delay)))
        return model_pb2.GetModelResponse(model=model_pb2.Model(model_version=7))


def _status(delay: Duration) -> status_pb2.Status:
    details = [AnyMessage(), AnyMessage()]
    details[0].Pack(error_details_pb2.ErrorInfo(reason="OVERLOADED", domain="digits"))
    details[1].Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    return status_pb2.Status(code=code, message="too many wait", details=details)


@pytest.fixture
def ask() -> Iterator[Callable[..., tuple[Client, Busy]]]:
    """`ask(refusals, delay_s)`: a client, and the busy server that it talks to."""
    ends: list[Callable[[], Any]] = []

    def start(refusals: int, delay_s: float = DELAY_S) -> tuple[Client, Busy]:
        busy = Busy(refusals, delay_s)
        server = grpc.server(futures.ThreadPoolExecutor(1))
        model_pb2_grpc.add_ModelServiceServicer_to_server(busy, server)
        client = Client(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
        ends.extend((client.close, lambda: server.stop(None)))
        return client, busy

    yield start
    for end in ends:
        end()


def test_a_refused_call_is_repeated_after_the_delay_that_was_asked_for(ask: Any) -> None:
    client, busy = ask(refusals=2)
    assert client.get_model().model_version == 7
    assert len(busy.calls) == 3
    assert busy.calls[1] - busy.calls[0] >= DELAY_S
    assert busy.calls[2] - busy.calls[1] >= DELAY_S


def test_a_delay_beyond_the_deadline_is_a_refusal_at_once(ask: Any) -> None:
    client, busy = ask(refusals=1, delay_s=60)
    with pytest.raises(Refused) as refusal:
        client.get_model()
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("OVERLOADED", 60)
    assert len(busy.calls) == 1
