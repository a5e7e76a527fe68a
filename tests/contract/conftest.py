"""Calls by the path of their method, and what a refused one tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

ANSWER_S = 60.0


class Told:
    """How a call was refused: its code, its message, and its `google.rpc` details by name."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details()
        metadata = dict(error.trailing_metadata())
        self.request_id = metadata.get("x-request-id", "")
        self.details: dict[str, Any] = {}
        for packed in status_pb2.Status.FromString(metadata["grpc-status-details-bin"]).details:
            name = packed.type_url.rpartition(".")[2]
            detail = getattr(error_details_pb2, name)()
            assert packed.Unpack(detail)
            self.details[name] = detail

    @property
    def reason(self) -> str:
        """Its stable name for programs."""
        return str(self.details["ErrorInfo"].reason)


def bytes_of(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def refused_call(
    channel: grpc.Channel,
    method: str,
    request: Message | bytes,
    metadata: Any = (),
    timeout: float = ANSWER_S,
) -> Told:
    """Call a method, of whichever kind, that must refuse."""
    try:
        replies = list(
            channel.stream_stream(method)(iter([bytes_of(request)]), metadata=metadata, timeout=timeout)
        )
    except grpc.RpcError as error:
        return Told(error)
    raise AssertionError(f"expected {method} to refuse, got {replies}")


@pytest.fixture(scope="session", params=["server", "ray"])
def any_server(request: pytest.FixtureRequest) -> Any:
    """Each of the hosts that answer the contract: one machine, and a cluster."""
    return request.getfixturevalue("live_cluster" if request.param == "ray" else "live_server")


@pytest.fixture(scope="session")
def told() -> Callable[..., Told]:
    """`told(channel, method, request)` calls what must refuse, and returns how it did."""
    return refused_call


@pytest.fixture(scope="session")
def told_by() -> type[Told]:
    """`told_by(error)` reads how a call was refused."""
    return Told


@pytest.fixture(scope="session")
def channel_to() -> Iterator[Callable[[Any], grpc.Channel]]:
    """`channel_to(server)` connects to a live server."""
    channels: dict[str, grpc.Channel] = {}

    def connect(server: Any) -> grpc.Channel:
        if server.address not in channels:
            channels[server.address] = server.channel()
        return channels[server.address]

    yield connect
    for channel in channels.values():
        channel.close()
