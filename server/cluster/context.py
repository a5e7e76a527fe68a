"""What servicers and guards use of gRPC's context, for a call that came another way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from server.cluster.calls import Call, End, plain
from server.rpc.access import Metadata


class CallContext:
    """Stands for `grpc.aio.ServicerContext`. `end` tells how the call ended, as far as it was told to."""

    def __init__(self, call: Call, write: Callable[[Any], Awaitable[None]] | None = None) -> None:
        """`write` takes the responses of handlers that write them instead of yielding them."""
        self._call = call
        self._write = write
        self._expires = None if call.remaining_s is None else time.monotonic() + call.remaining_s
        self._code, self._message = grpc.StatusCode.OK, ""
        self._trailing: Metadata = ()

    @property
    def end(self) -> End:
        """The end of the call, as it travels."""
        return End(self._code.value[0], self._message, plain(self._trailing))

    def peer(self) -> str:
        """Who calls, as gRPC at the ingress writes it."""
        return self._call.peer

    def invocation_metadata(self) -> Metadata:
        """What the caller sent beside the request."""
        return self._call.metadata

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, None without."""
        return None if self._expires is None else max(0.0, self._expires - time.monotonic())

    def set_trailing_metadata(self, trailing: Metadata) -> None:
        """What is sent after the answer."""
        self._trailing = trailing

    async def write(self, response: Any) -> None:
        """Send a response of a stream."""
        if self._write is None:
            raise TypeError(f"{self._call.method} answers once: expected its handler to return the response")
        await self._write(response)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing: Metadata = ()) -> None:
        """End the call with an error. Raises AbortError."""
        self._code, self._message, self._trailing = code, details, trailing
        raise grpc.aio.AbortError(details)
