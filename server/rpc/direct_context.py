"""What a handler knows of a call that came straight from gRPC's queue."""

from __future__ import annotations

import time

import grpc

from server.rpc.access import Metadata
from server.rpc.call_queue import Call


class DirectContext:
    """What handlers use of `grpc.aio.ServicerContext`. On the event loop."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.trailing: Metadata = ()

    def peer(self) -> str:
        """Who calls."""
        return self._call.peer()

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, None without."""
        left_s = self._call.expires - time.monotonic()
        return None if left_s == float("inf") else max(0.0, left_s)

    def set_trailing_metadata(self, trailing: Metadata) -> None:
        """What is sent after the answer."""
        self.trailing = trailing

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing: Metadata = ()) -> None:
        """End the call with an error. Raises AbortError."""
        self._call.refuse(code, details, trailing)
        raise grpc.aio.AbortError(details)
