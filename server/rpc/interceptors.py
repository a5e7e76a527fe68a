"""Around every call: unreadable requests are refused, errors become statuses, bugs are logged."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from server.admission import Admission
from server.errors import DigitsError, InvalidArgument, Overloaded
from server.rpc import status
from server.rpc.backlog import Backlog

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]


class _Unreadable:
    """Stands where a request should be when its bytes did not parse."""


_UNREADABLE = _Unreadable()


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """The only place that ends calls with `abort`."""

    def __init__(self, backlog: Backlog, admission: Admission, admitted: Collection[str]) -> None:
        """Calls of the methods `admitted`, by their full path, need to be let in by `admission`."""
        self._backlog = backlog
        self._admission = admission
        self._admitted = admitted
        # A method's handler is wrapped once, not again for each of its calls.
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of a method; an unknown method has none, and gRPC answers UNIMPLEMENTED."""
        method = handler_call_details.method
        self._backlog.take_up()
        if method in self._admitted:
            try:
                self._admission.admit()
            except Overloaded as error:
                unread: grpc.RpcMethodHandler[Any, Any] = _refuse_unread(error)
                return unread
        if method in self._guarded:
            return self._guarded[method]
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        self._guarded[method] = _guard(handler, method, self._backlog)
        return self._guarded[method]


def _guard(handler: Any, method: str, backlog: Backlog) -> Any:
    deserializer = _tolerant(handler.request_deserializer)
    serializer = handler.response_serializer
    if handler.request_streaming and handler.response_streaming:
        stream = _guard_stream(handler.stream_stream, method, backlog)
        return grpc.stream_stream_rpc_method_handler(stream, deserializer, serializer)
    if handler.response_streaming:
        stream = _guard_stream(handler.unary_stream, method, backlog)
        return grpc.unary_stream_rpc_method_handler(stream, deserializer, serializer)
    if handler.request_streaming:
        unary = _guard_unary(handler.stream_unary, method, backlog)
        return grpc.stream_unary_rpc_method_handler(unary, deserializer, serializer)
    unary = _guard_unary(handler.unary_unary, method, backlog)
    return grpc.unary_unary_rpc_method_handler(unary, deserializer, serializer)


def _refuse_unread(error: Overloaded) -> Any:
    """A handler that refuses without reading the request, as one of a stream, which need not read."""

    async def refuse(requests: Any, context: Context) -> None:
        # No line in the log: there may be thousands a second, and admission tells how many.
        await _abort(context, status.status_code(error), status.to_status(error))

    return grpc.stream_stream_rpc_method_handler(refuse)


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Let unreadable bytes through as a mark: gRPC itself would answer INTERNAL or UNKNOWN for them."""
    if deserialize is None:
        return None

    @functools.wraps(deserialize)
    def tolerant(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _UNREADABLE

    return tolerant


def _guard_unary(
    behaviour: Callable[..., Awaitable[Any]], method: str, backlog: Backlog
) -> Callable[..., Awaitable[Any]]:
    async def guarded(request: Any, context: Context) -> Any:
        backlog.unary += 1
        try:
            return await behaviour(await _readable(request, method), context)
        except Exception as error:
            await _end(error, context, method)
        finally:
            backlog.unary -= 1

    return guarded


def _guard_stream(
    behaviour: Callable[..., AsyncIterator[Any] | Awaitable[Any]], method: str, backlog: Backlog
) -> Callable[..., AsyncIterator[Any]]:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        backlog.streams += 1
        try:
            result = behaviour(await _readable(request, method), context)
            if isinstance(result, AsyncIterator):
                async for response in result:
                    yield response
            else:
                # Handlers of gRPC's own services may write to the context instead of yielding.
                await result
        except Exception as error:
            await _end(error, context, method)
        finally:
            backlog.streams -= 1

    return guarded


async def _readable(request: Any, method: str) -> Any:
    """The request, or for a stream of requests the same stream, which raises at the first unreadable one."""
    if hasattr(request, "__aiter__"):
        return _readable_stream(request, method)
    if request is _UNREADABLE:
        raise _refusal(method)
    return request


async def _readable_stream(requests: AsyncIterator[Any], method: str) -> AsyncIterator[Any]:
    async for request in requests:
        if request is _UNREADABLE:
            raise _refusal(method)
        yield request


def _refusal(method: str) -> InvalidArgument:
    return InvalidArgument(
        "request", f"expected the request message of {method}, got bytes that do not parse"
    )


async def _end(error: Exception, context: Context, method: str) -> None:
    """End the call with the status of `error`. Errors that gRPC raised to end a call go on as they are."""
    if isinstance(error, grpc.aio.AbortError | grpc.aio.BaseError):
        raise error
    if isinstance(error, DigitsError):
        log.info("refused", extra={"method": method, "reason": error.reason, "detail": error.message})
        await _abort(context, status.status_code(error), status.to_status(error))
    else:
        log.error("bug", exc_info=error, extra={"method": method})
        await _abort(context, grpc.StatusCode.INTERNAL, status.internal_status())


async def _abort(context: Context, code: grpc.StatusCode, reply: status_pb2.Status) -> None:
    await context.abort(code, reply.message, status.trailing_metadata(reply))
