"""Stubs of a live server, and images to send it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import numpy.typing as npt
import pytest
from digits.v1 import (
    dataset_pb2,
    evaluation_pb2,
    evaluation_pb2_grpc,
    model_pb2_grpc,
    prediction_pb2_grpc,
    sample_pb2_grpc,
    sweep_pb2_grpc,
    training_pb2_grpc,
)
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

Image = npt.NDArray[np.uint8]


class Stubs:
    """Every service of one server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(channel)
        self.training = training_pb2_grpc.TrainingServiceStub(channel)
        self.evaluation = evaluation_pb2_grpc.EvaluationServiceStub(channel)
        self.model = model_pb2_grpc.ModelServiceStub(channel)
        self.sample = sample_pb2_grpc.SampleServiceStub(channel)
        self.sweep = sweep_pb2_grpc.SweepServiceStub(channel)


class Refusal:
    """What a refused call tells: its code, its message, and its `google.rpc` details."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code = error.code()
        self.message = error.details()
        metadata = dict(error.trailing_metadata())
        self.status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
        self.reason = self.detail(error_details_pb2.ErrorInfo()).reason

    @property
    def fields(self) -> list[str]:
        """The fields of the request that are wrong."""
        violations = self.detail(error_details_pb2.BadRequest()).field_violations
        return [violation.field for violation in violations]

    def detail(self, message: Any) -> Any:
        """The detail of the type of `message`."""
        for detail in self.status.details:
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
                return message
        raise AssertionError(f"no {message.DESCRIPTOR.full_name} in {self.status}")


def refusal(method: Callable[..., Any], request: Message) -> Refusal:
    """Call a method that must refuse, and return what it says."""
    try:
        reply = method(request, timeout=60)
    except grpc.RpcError as error:
        return Refusal(error)
    raise AssertionError(f"expected a refusal, got {reply}")


@pytest.fixture(scope="session")
def refused() -> Callable[[Callable[..., Any], Message], Refusal]:
    """`refused(method, request)` calls a method that must refuse, and returns the Refusal."""
    return refusal


@pytest.fixture(scope="session")
def stubs_of() -> Iterator[Callable[[Any], Stubs]]:
    """`stubs_of(server)` connects to a live server."""
    channels: list[grpc.Channel] = []

    def connect(server: Any) -> Stubs:
        channels.append(server.channel())
        return Stubs(channels[-1])

    yield connect
    for channel in channels:
        channel.close()


@pytest.fixture(scope="session")
def stubs(live_server: Any, stubs_of: Callable[[Any], Stubs]) -> Stubs:
    """The services of the common server, its digits prepared."""
    connected = stubs_of(live_server)
    wait_for_data(connected)
    return connected


def wait_for_data(stubs: Stubs) -> None:
    """Wait until the digits are there: test digits are refused as UNAVAILABLE until then."""
    deadline = time.monotonic() + 60
    while True:
        reply = stubs.evaluation.ListDatasets(evaluation_pb2.ListDatasetsRequest(), timeout=60)
        if reply.HasField("data_source"):
            return
        assert time.monotonic() < deadline, f"no digits after 60 s: {reply}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def wait_until_ready() -> Callable[[Stubs], None]:
    """`wait_until_ready(stubs)` returns when a server's digits are prepared."""
    return wait_for_data


@pytest.fixture(scope="session")
def seven(stubs: Stubs) -> Image:
    """A real 7 of the built-in digits: (28, 28) uint8, light on dark."""
    request = evaluation_pb2.ListTestDigitsRequest(
        dataset=dataset_pb2.DATASET_BUILTIN_DIGITS, label=7, page_size=1
    )
    digit = stubs.evaluation.ListTestDigits(request, timeout=60).digits[0]
    assert digit.label == 7
    return np.frombuffer(digit.pixels, np.uint8).reshape(28, 28)


@pytest.fixture(scope="session")
def seven_png(seven: Image) -> bytes:
    """The same 7 as somebody would draw it on a page: dark on light, 280x280, PNG."""
    large = cv2.resize(255 - seven, (280, 280), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", large)[1].tobytes()
