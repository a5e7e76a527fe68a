"""Around every call: it is let in (see `entrance`), and however it ends, its caller learns how.

Unreadable requests are refused, errors become statuses, bugs are logged. All of it is one interceptor,
because each costs every call its time. Calls that come another way (see `direct`) have their handlers guarded
here too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import status_pb2

from server.admission import Admission
from server.counters import CallCounters
from server.errors import (
    DigitsError,
    UnknownMethod,
    Unsupported,
)
from server.failures import refusal_of
from server.logs import REQUEST_ID
from server.rpc import status
from server.rpc.access import METHODS, UNLISTED, Access, Effect
from server.rpc.backlog import Backlog
from server.rpc.entrance import Entrance, log_refusal
from server.rpc.request_id import KEY
from server.rpc.requests import readable, reading_one, tolerant

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

# What gRPC's generated base classes say of a method that nobody has written.
NOT_WRITTEN = "Method not implemented!"
# How a call ends about which nobody was told anything.
UNREFUSED = (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True)
class _Watched:
    """A method, and where its calls are noted."""

    path: str
    kind: str
    effect: Effect
    backlog: Backlog
    counters: CallCounters | None

    def ended(self, code: grpc.StatusCode, started: float, context: Context) -> None:
        """Note the end of a call that began at `started`, of `time.perf_counter()`."""
        taken_s = time.perf_counter() - started
        if self.counters is not None:
            self.counters.note(self.kind, self.path, code.name, taken_s)
        # What was refused has its line already.
        if self.effect is Effect.CHANGES and code in UNREFUSED:
            extra = {
                "method": self.path,
                "code": code.name,
                "took_s": round(taken_s, 4),
                "peer": context.peer(),
            }
            log.info("called", extra=extra)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """The only place that ends calls with `abort`."""

    def __init__(
        self,
        backlog: Backlog,
        admission: Admission,
        admitted: Collection[str],
        access: Access | None = None,
        counters: CallCounters | None = None,
    ) -> None:
        """Calls of the methods `admitted`, by their full path, need to be let in by `admission`.

        `access` None: everybody may call. `counters` None: calls are not counted.
        """
        self._backlog = backlog
        self._entrance = Entrance(admission, admitted, access, counters)
        self._counters = counters
        # A method's handler is wrapped once, not again for each of its calls.
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of a method, or give one that refuses the call before its request is read."""
        method = handler_call_details.method
        self._backlog.take_up()
        try:
            # gRPC takes up and answers a call in one task: everything that this call causes knows its id.
            self._entrance.let_in(method, handler_call_details.invocation_metadata)
        except DigitsError as error:
            return _handler(self._refuse_unread(method, error))
        if method in self._guarded:
            return self._guarded[method]
        handler = await continuation(handler_call_details)
        if handler is None:
            return _handler(self._refuse_unread(method, UnknownMethod(method)))
        self._guarded[method] = _handler(reading_one(self.guard(method, handler), self._backlog))
        return self._guarded[method]

    def guard(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """The same handler, which ends every call that it is asked to answer as it should."""
        return _handler(_guard(handler, self._watched(method, _kind(handler))))

    def _watched(self, method: str, kind: str) -> _Watched:
        effect = METHODS.get(method, UNLISTED).effect
        return _Watched(method, kind, effect, self._backlog, self._counters)

    def _refuse_unread(self, method: str, error: DigitsError) -> Any:
        """A handler that refuses without reading the request, as one of a stream, which need not read."""

        async def refuse(requests: Any, context: Context) -> None:
            await context.abort(*self._entrance.refusal(method, error, context.peer))

        return grpc.stream_stream_rpc_method_handler(refuse)


def _handler(made: Any) -> grpc.RpcMethodHandler[Any, Any]:
    """What gRPC's untyped functions make, typed."""
    handler: grpc.RpcMethodHandler[Any, Any] = made
    return handler


def _kind(handler: Any) -> str:
    kinds = {
        (False, False): "unary",
        (False, True): "server_stream",
        (True, False): "client_stream",
        (True, True): "bidi_stream",
    }
    return kinds[bool(handler.request_streaming), bool(handler.response_streaming)]


def _guard(handler: Any, watched: _Watched) -> Any:
    deserializer = tolerant(handler.request_deserializer, watched.path)
    serializer = handler.response_serializer
    if handler.request_streaming and handler.response_streaming:
        stream = _guard_stream(handler.stream_stream, watched)
        return grpc.stream_stream_rpc_method_handler(stream, deserializer, serializer)
    if handler.response_streaming:
        stream = _guard_stream(handler.unary_stream, watched)
        return grpc.unary_stream_rpc_method_handler(stream, deserializer, serializer)
    if handler.request_streaming:
        unary = _guard_unary(handler.stream_unary, watched)
        return grpc.stream_unary_rpc_method_handler(unary, deserializer, serializer)
    unary = _guard_unary(handler.unary_unary, watched)
    return grpc.unary_unary_rpc_method_handler(unary, deserializer, serializer)


def _guard_unary(
    behaviour: Callable[..., Awaitable[Any]], watched: _Watched
) -> Callable[..., Awaitable[Any]]:
    method, backlog = watched.path, watched.backlog
    is_noted = watched.counters is not None or watched.effect is Effect.CHANGES

    async def guarded(request: Any, context: Context) -> Any:
        backlog.unary += 1
        if watched.counters is not None:
            watched.counters.begin(watched.kind, method)
        context.set_trailing_metadata(((KEY, REQUEST_ID.get()),))
        started, code = time.perf_counter(), grpc.StatusCode.OK
        try:
            return await behaviour(readable(request, method), context)
        except BaseException as error:
            code = _code(error, context)
            del request
            await _end(error, context, method)
        finally:
            backlog.unary -= 1
            if is_noted:
                watched.ended(code, started, context)

    return guarded


def _guard_stream(
    behaviour: Callable[..., AsyncIterator[Any] | Awaitable[Any]], watched: _Watched
) -> Callable[..., AsyncIterator[Any]]:
    method, backlog = watched.path, watched.backlog

    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        backlog.streams += 1
        if watched.counters is not None:
            watched.counters.begin(watched.kind, method)
        context.set_trailing_metadata(((KEY, REQUEST_ID.get()),))
        started, code = time.perf_counter(), grpc.StatusCode.OK
        try:
            result = behaviour(readable(request, method), context)
            if isinstance(result, AsyncIterator):
                async for response in result:
                    yield response
            else:
                # Handlers of gRPC's own services may write to the context instead of yielding.
                await result
        except BaseException as error:
            code = _code(error, context)
            del request
            await _end(error, context, method)
        finally:
            backlog.streams -= 1
            watched.ended(code, started, context)

    return guarded


def _code(error: BaseException, context: Context) -> grpc.StatusCode:
    """What the caller is told of an error, or would be if it still listened."""
    if isinstance(error, DigitsError):
        return status.status_code(error)
    if _is_not_written(error):
        return grpc.StatusCode.UNIMPLEMENTED
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        left_s: float | None = context.time_remaining()
        is_late = left_s is not None and left_s <= 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.CANCELLED
    if (refusal := refusal_of(error)) is not None:
        return status.status_code(refusal)
    return grpc.StatusCode.INTERNAL


def _is_not_written(error: BaseException) -> bool:
    return type(error) is NotImplementedError and str(error) == NOT_WRITTEN


async def _end(error: BaseException, context: Context, method: str) -> None:
    """End the call with the status of `error`. Errors that gRPC raised to end a call go on as they are.

    gRPC keeps how a call was aborted together with the call, each holding the other, until Python's collector
    comes by. What hangs on it must be little by then: no request, and no picture in a frame that has failed.
    """
    if isinstance(error, grpc.aio.AbortError | grpc.aio.BaseError) or not isinstance(error, Exception):
        raise error
    raised: BaseException = error
    if _is_not_written(error):
        error = Unsupported(f"{method} is not served")
    if not isinstance(error, DigitsError) and (refusal := refusal_of(error)) is not None:
        log.error("data folder fault", extra={"method": method, "fault": f"{type(error).__name__}: {error}"})
        error = refusal
    if isinstance(error, DigitsError):
        log_refusal(error, method, context.peer())
        code, reply = status.status_code(error), status.to_status(error)
    else:
        log.error("bug", exc_info=error, extra={"method": method})
        code, reply = grpc.StatusCode.INTERNAL, status.internal_status()
    _let_go(raised)
    await _abort(context, code, reply)


def _let_go(error: BaseException) -> None:
    """Let an error, and those that led to it, hold no frames that they have come through."""
    led: BaseException | None = error
    # Not cleared: others who wait for the same work may be told with the same error, and still run.
    while led is not None and led.__traceback__ is not None:
        led.__traceback__ = None
        led = led.__cause__ or led.__context__


async def _abort(context: Context, code: grpc.StatusCode, reply: status_pb2.Status) -> None:
    metadata = (*status.trailing_metadata(reply), (KEY, REQUEST_ID.get()))
    await context.abort(code, reply.message, metadata)
