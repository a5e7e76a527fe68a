"""What travels between Ray's ingress and the processes that answer: small tuples, because each call pays."""

from __future__ import annotations

from typing import NamedTuple

import grpc

from server.rpc.access import Metadata


class Call(NamedTuple):
    """A call as the ingress met it."""

    method: str
    """The full path."""
    metadata: tuple[tuple[str, str | bytes], ...]
    """What its caller sent, always with an `x-request-id`."""
    peer: str
    remaining_s: float | None
    """How long its caller still waits; None: without end."""


class End(NamedTuple):
    """How a call ended."""

    code: int
    """Of `grpc.StatusCode`, as a number; 0 is OK."""
    message: str
    trailing: tuple[tuple[str, str | bytes], ...]


Reply = tuple[list[bytes], End]
"""Every response of a call, and its end."""

CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def plain(metadata: Metadata) -> tuple[tuple[str, str | bytes], ...]:
    """Metadata without gRPC's own classes, which need not travel."""
    return tuple((key, value) for key, value in metadata)
