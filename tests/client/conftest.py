"""A server that does as it is told, on a real socket, and messages in which every field is set."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from digits.v1 import evaluation_pb2, model_pb2, prediction_pb2, sample_pb2, sweep_pb2, training_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

# Every method of the contract by its path, such as /digits.v1.PredictionService/Predict.
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (prediction_pb2, training_pb2, sweep_pb2, evaluation_pb2, model_pb2, sample_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@dataclass(frozen=True)
class Arrived:
    """A call as it came to the server."""

    path: str
    requests: tuple[Any, ...]
    metadata: dict[str, str]
    at: float
    left_s: float


class StandIn(grpc.GenericRpcHandler):
    """Stands for a server in a state that a real one is hard to bring into.

    `behave(arrived, context)` gives the answers to a call, or refuses it.
    """

    def __init__(self, behave: Callable[[Arrived, grpc.ServicerContext], Sequence[Message]]) -> None:
        self.calls: list[Arrived] = []
        self.port = 0
        self._behave = behave
        self._server: grpc.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens; the same after a restart."""
        return f"127.0.0.1:{self.port}"

    def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen: on a free port, or on the one of before."""
        self._server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self])
        address = f"127.0.0.1:{self.port}"
        self.port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        self._server.start()

    def vanish(self) -> None:
        """End at once, in the middle of everything."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def service(self, details: Any) -> Any:
        method = METHODS[details.method]
        request_type = GetMessageClass(method.input_type)

        # On the wire every method is a stream of requests and one of responses.
        def handle(requests: Iterator[Message], context: grpc.ServicerContext) -> Iterator[Message]:
            metadata = {key: str(value) for key, value in context.invocation_metadata()}
            arrived = Arrived(
                details.method, tuple(requests), metadata, time.monotonic(), context.time_remaining()
            )
            self.calls.append(arrived)
            yield from self._behave(arrived, context)

        return grpc.stream_stream_rpc_method_handler(
            handle, request_type.FromString, lambda message: message.SerializeToString()
        )


@pytest.fixture
def contract() -> dict[str, MethodDescriptor]:
    """Every method of the contract by its path."""
    return METHODS


@pytest.fixture
def stand_in() -> Iterator[Callable[..., StandIn]]:
    """Start servers: `stand_in(behave)`; they end with the test."""
    servers: list[StandIn] = []

    def start(behave: Any, credentials: grpc.ServerCredentials | None = None) -> StandIn:
        server = StandIn(behave)
        server.start(credentials)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.vanish()


def refuse(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    reason: str = "",
    retry_after_s: float | None = None,
    field: str = "",
) -> None:
    """End a call with a status and its google.rpc details, as the server does."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain="digits")] if reason else []
    if retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(int(retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description="is wrong")
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=code.value[0], message=f"told {reason}", details=packed)
    context.abort_with_status(rpc_status.to_status(status))


@pytest.fixture(name="refuse")
def refuse_fixture() -> Callable[..., None]:
    """`refuse(context, code, reason, retry_after_s=…, field=…)` inside a server's behaviour."""
    return refuse


LENGTHS = {"probabilities": 10, "occlusion": 784, "confusion_matrix": 100, "confusion_difference": 100}
PIXELS = ("pixels", "model_input")


def filled(message: Any, numbers: Iterator[int]) -> Any:
    """The message with every field set, each to another value: what is mixed up shows."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof and message.WhichOneof(field.containing_oneof.name):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)[f"key {next(numbers)}"] = f"value {next(numbers)}"
        elif field.message_type and field.is_repeated:
            for _ in range(2):
                filled(getattr(message, field.name).add(), numbers)
        elif field.message_type:
            part = getattr(message, field.name)
            part.SetInParent()
            filled(part, numbers)
        elif field.is_repeated:
            length = LENGTHS.get(field.name, 2)
            getattr(message, field.name).extend(_value(field, numbers) for _ in range(length))
        else:
            setattr(message, field.name, _value(field, numbers))
    return message


def _value(field: FieldDescriptor, numbers: Iterator[int]) -> Any:
    number = next(numbers)
    if field.name in PIXELS:
        return bytes(number + place & 255 for place in range(784))
    return {
        FieldDescriptor.CPPTYPE_STRING: f"text {number}".encode()
        if field.type == FieldDescriptor.TYPE_BYTES
        else f"text {number}",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_ENUM: 1,
        FieldDescriptor.CPPTYPE_DOUBLE: number + 0.5,
        FieldDescriptor.CPPTYPE_FLOAT: number + 0.5,
    }.get(field.cpp_type, number)


@pytest.fixture
def fill() -> Callable[[Any], Any]:
    """`fill(message)`: with every field set, each to another value."""
    return lambda message: filled(message, itertools.count(1))
