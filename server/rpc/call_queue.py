"""Calls of a few methods, taken straight from gRPC's completion queue, beside `grpc.aio` on the same port.

What `grpc.aio` does around a call, tasks and futures and the way between two threads, takes three times the
processor time of the call itself (docs/serving.md). The queue beneath it is what gRPC's own servers are made
of, but no public interface: this is the only module that touches it, and only in versions that it was tried
with. With any other `open_queue` returns None, and `grpc.aio` answers these methods like all others.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import threading
import time
from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Any, Protocol

import grpc

# Not in the types, nor in any promise.
from grpc._cython import cygrpc

from server.rpc.access import Metadata

log = logging.getLogger(__name__)

# Tried with all of their tests: what is new may differ inside.
KNOWN_VERSIONS: tuple[str, ...] = ("1.85.",)
# Calls of a method that are taken up at once while others are worked on; more wait inside gRPC, which ends
# what is beyond its own limit (see `options`).
TAKEN_UP = 16

_NO_FLAGS = 0
_OK = 0
# The tag of the next call of a method that nobody has.
_UNKNOWN = ""


class Step(Enum):
    """What `CallQueue.step` met."""

    EVENT = auto()
    NOTHING = auto()
    END = auto()
    """Nothing more will come."""


class Call:
    """A unary call. Its answer may be given from any thread, once: what comes later is dropped."""

    __slots__ = (
        "_call",
        "_is_watched",
        "_queue",
        "expires",
        "is_cancelled",
        "metadata",
        "method",
        "request_id",
    )

    def __init__(self, queue: CallQueue, call: Any, method: str, metadata: Metadata, expires: float) -> None:
        self._queue: CallQueue | None = queue
        self._call = call
        self._is_watched = False
        self.method = method
        """The full path."""
        self.metadata = metadata
        self.expires = expires
        """The moment of `time.monotonic()` from which nobody waits for the answer."""
        self.request_id = ""
        self.is_cancelled = False
        """Nobody waits any more: given up, or the deadline has passed."""

    def peer(self) -> str:
        """Who calls, as gRPC writes it."""
        return str(self._call.peer().decode())

    def answer(self, message: bytes, trailing: Metadata) -> None:
        """End it well."""
        self._end(cygrpc.SendMessageOperation(message, _NO_FLAGS), _OK, "", trailing)

    def refuse(self, code: grpc.StatusCode, message: str, trailing: Metadata) -> None:
        """End it with an error."""
        self._end(None, code.value[0], message, trailing)

    def _end(self, sending: Any, code: int, message: str, trailing: Metadata) -> None:
        # Taken in one step, as two threads may want to end it at once.
        queue, self._queue = self._queue, None
        if queue is None:
            return
        operations = [
            cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
            cygrpc.SendStatusFromServerOperation(trailing, code, message, _NO_FLAGS),
        ]
        if sending is not None:
            operations.append(sending)
        if not self._is_watched:  # gRPC wants to have it asked for.
            operations.append(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS))
        queue.start(self._call, operations, _ENDED)

    def read(self, queue: CallQueue) -> None:
        """Have the request read, and the call watched: whether somebody still waits for its answer."""
        self._is_watched = True
        queue.start(self._call, (cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), _Closed(self))
        queue.start(self._call, (cygrpc.ReceiveMessageOperation(_NO_FLAGS),), _Received(self))


class CallTaker(Protocol):
    """Who is told of calls, on the thread that steps."""

    def came(self, call: Call) -> bool:
        """A call is there, its request unread. Whether to read it; otherwise it has been refused."""

    def was_read(self, call: Call, data: bytes | None) -> None:
        """Its request is there; None when its sender ended without any."""

    def was_cancelled(self, call: Call) -> None:
        """Nobody waits for its answer any more. It may have been answered, or not been read yet."""


class _Received:
    """The tag of a request on its way."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call


class _Closed:
    """The tag of a call's end, or of its cancellation."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call


_ENDED = object()


class CallQueue:
    """The calls of some methods of one server, and of all that nobody has: these can only be refused.

    `start_taking`, then `step` on one thread until Step.END.
    """

    def __init__(self, server: Any, methods: Collection[str]) -> None:
        """`server`: what gRPC has inside its own; not started yet. See `open_queue`."""
        self._server = server
        self._queue = cygrpc.CompletionQueue()
        self._methods = tuple(methods)
        # Nothing may be put into a queue that has been shut down: gRPC would end the process.
        self._lock = threading.Lock()
        self._is_shut = False
        server.register_completion_queue(self._queue)
        for method in methods:
            server.register_method(method)

    def start_taking(self) -> None:
        """Take up calls, once the server has started."""
        for method in (*self._methods, _UNKNOWN):
            for _ in range(TAKEN_UP):
                self._take_next(method)

    def step(self, taker: CallTaker, is_patient: bool) -> Step:
        """Wait for one event, or only look for one unless `is_patient`, and tell `taker` of it."""
        event = self._queue.poll(None if is_patient else 0)
        tag = event.tag
        if tag is None:
            is_end = event.completion_type == cygrpc.CompletionType.queue_shutdown
            return Step.END if is_end else Step.NOTHING
        if isinstance(tag, _Received):
            self._receive(tag.call, event, taker)
        elif isinstance(tag, _Closed):
            if event.batch_operations[0].cancelled():
                tag.call.is_cancelled = True
                taker.was_cancelled(tag.call)
        elif tag is not _ENDED and event.success:  # Without success: the server goes down.
            self._take_up(tag, event, taker)
        return Step.EVENT

    def start(self, call: Any, operations: Sequence[Any], tag: object) -> None:
        """Have gRPC do something for a call, unless the queue was shut down."""
        with self._lock:
            if not self._is_shut and (error := call.start_server_batch(operations, tag)) != _OK:
                log.error("bug", extra={"method": "CallQueue.start", "grpc_call_error": error})

    def shut_down(self) -> None:
        """Let `step` come to its end, after the server has stopped."""
        with self._lock:
            self._is_shut = True
            self._queue.shutdown()

    def _take_next(self, method: str) -> None:
        try:
            if method is _UNKNOWN:
                self._server.request_call(self._queue, self._queue, _UNKNOWN)
            else:
                self._server.request_registered_call(self._queue, self._queue, method, method)
        except ValueError:
            # It goes down, and takes up nothing any more.
            return

    def _take_up(self, method: str, event: Any, taker: CallTaker) -> None:
        self._take_next(method)
        deadline = event.call_details.deadline  # Seconds of `time.time()`; far beyond all times for none.
        left_s = deadline - time.time()
        expires = math.inf if left_s > 1e9 else time.monotonic() + left_s
        # Of an unknown one it is whatever its caller wrote.
        path = method or event.call_details.method.decode(errors="replace")
        call = Call(self, event.call, path, event.invocation_metadata, expires)
        if taker.came(call):
            call.read(self)

    def _receive(self, call: Call, event: Any, taker: CallTaker) -> None:
        if not call.is_cancelled:
            taker.was_read(call, event.batch_operations[0].message())


class _KnownOnly(cygrpc.AioServer):  # type: ignore[misc]
    """What is inside gRPC's server, but for calls of methods that it does not have: those are the queue's.

    It takes their paths for UTF-8, as which everybody else sends them, and serves no more, for good, when one
    is not: a single call of anybody's would switch it off.
    """

    async def _request_call(self) -> None:
        """Instead of the next one of them: nothing."""
        await asyncio.get_running_loop().create_future()


def make_server(
    interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, int]]
) -> grpc.aio.Server:
    """A server of gRPC's, for `open_queue`."""
    usual = cygrpc.AioServer
    if _is_known():
        cygrpc.AioServer = _KnownOnly
    try:
        return grpc.aio.server(interceptors=interceptors, options=options)
    finally:
        cygrpc.AioServer = usual


def _is_known() -> bool:
    return grpc.__version__.startswith(KNOWN_VERSIONS)


def open_queue(server: grpc.aio.Server, methods: Collection[str]) -> CallQueue | None:
    """A queue of the calls of these methods of a server that has not started, and has no handlers for them.

    It must be one of `make_server`. None where this gRPC is not one that it was tried with.
    """
    if not _is_known():
        _tell(f"expected grpcio {' or '.join(KNOWN_VERSIONS)}, got {grpc.__version__}")
        return None
    # Nothing public leads from the server to the one inside it.
    outer: Any = server
    inside = [one for one in gc.get_referents(outer._server) if isinstance(one, cygrpc.Server)]
    if len(inside) != 1:
        _tell(f"expected one server inside that of grpc.aio, got {len(inside)}")
        return None
    return CallQueue(inside[0], methods)


def _tell(reason: str) -> None:
    log.warning("no direct calls: all are answered by grpc.aio, which takes longer", extra={"reason": reason})
