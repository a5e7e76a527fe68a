"""What the security part is made of: a tally of what was tried, calls by path, and HTTP/2 by hand."""

from __future__ import annotations

import importlib
import pkgutil
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import digits
import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

ANSWER_S = 60.0
Metadata = Sequence[tuple[str, str | bytes]]
STANDARD = (
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name,
)


class Checks:
    """How much was tried, and what did not go as it must."""

    def __init__(self) -> None:
        self.count = 0
        self.failures: list[str] = []

    def expect(self, is_so: bool, what: str) -> None:
        """Count a check; `what` tells of it when it failed, with enough to repeat it."""
        self.count += 1
        if not is_so:
            self.failures.append(what)


class Outcome(NamedTuple):
    """How a call ended: `code` is OK, or the name of its status; `reason` is that of its ErrorInfo."""

    code: str
    reason: str = ""
    text: str = ""
    reply: bytes = b""


def every_method() -> list[str]:
    """The path of every method that the descriptors tell of, those of the standard services too."""
    files = [
        importlib.import_module(module.name).DESCRIPTOR
        for module in pkgutil.walk_packages(digits.__path__, "digits.")
        if module.name.endswith("_pb2")
    ]
    services = [service.full_name for file in files for service in file.services_by_name.values()]
    pool = descriptor_pool.Default()
    return [
        f"/{name}/{method.name}"
        for name in (*services, *STANDARD)
        for method in pool.FindServiceByName(name).methods
    ]


def bearer(token: str) -> Metadata:
    """The metadata that shows a token."""
    return (("authorization", f"Bearer {token}"),)


def call(
    channel: grpc.Channel,
    method: str,
    requests: Iterable[bytes] = (b"",),
    metadata: Metadata = (),
    timeout: float = ANSWER_S,
) -> Outcome:
    """Call a method of whichever kind, and tell how it went after its first answer."""
    going = channel.stream_stream(method)(iter(requests), metadata=metadata, timeout=timeout)
    try:
        reply = next(going, b"")
    except grpc.RpcError as error:
        return Outcome(error.code().name, _reason(error), error.details() or "")
    going.cancel()
    return Outcome("OK", reply=reply)


def _reason(error: grpc.RpcError) -> str:
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    if packed is not None and (details := status_pb2.Status.FromString(packed).details):
        details[0].Unpack(info)
    return str(info.reason)


def is_answered(address: str, headers: Sequence[tuple[bytes, bytes]], body: bytes = b"\0\0\0\0\0") -> bool:
    """Whether a request of these headers, as they are, brings an answer with content.

    HTTP/2 by hand (RFC 9113, RFC 7541 without its tables), because libraries refuse to send what they should
    not. A connection that is closed, and an answer of trailers alone, are none.
    """
    host, _, port = address.rpartition(":")
    block = b"".join(
        b"\0" + _length(len(name)) + name + _length(len(value)) + value for name, value in headers
    )
    with socket.create_connection((host, int(port)), timeout=ANSWER_S) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(4, 0, 0, b"")
            + _headers(block)
            + _frame(0, 1, 1, body)
        )
        stream = connection.makefile("rb")
        try:
            while len(head := stream.read(9)) == 9:
                length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                payload = stream.read(length)
                if kind == 0 and payload:
                    return True
                if kind in (3, 7) or (kind == 1 and flags & 1):
                    return False
        except OSError:
            return False  # Reset: also a refusal.
    return False


def _headers(block: bytes) -> bytes:
    """HEADERS, and as many CONTINUATION frames as it takes: 16 KiB go into one."""
    parts = [block[start : start + 16_000] for start in range(0, len(block), 16_000)] or [b""]
    last = len(parts) - 1
    return b"".join(
        _frame(9 if number else 1, 4 if number == last else 0, 1, part) for number, part in enumerate(parts)
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _length(number: int) -> bytes:
    """An integer with a prefix of seven bits, as HPACK has it."""
    if number < 127:
        return bytes([number])
    rest, out = number - 127, bytearray([127])
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest])
