"""From the bytes that came to a request, or to what is told of bytes that are none."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from server.errors import InvalidArgument, MalformedRequest, MessageTooLarge
from server.rpc.backlog import Backlog
from server.rpc.sizes import BATCHES, SMALL_BYTES, is_bloated, max_bytes


class Unreadable:
    """Stands where a request should be when its bytes did not parse, or were too many."""

    def __init__(self, refuse: Callable[[str], InvalidArgument]) -> None:
        """`refuse` gives the refusal for a method by its full path."""
        self.refuse = refuse


MALFORMED = Unreadable(MalformedRequest)
_TOO_LARGE = Unreadable(lambda path: MessageTooLarge(max_bytes(path)))
_BLOATED = Unreadable(
    lambda path: InvalidArgument("request", "expected 1,024 images at most, got far more parts than that")
)


def tolerant(deserialize: Callable[[bytes], Any] | None, path: str) -> Callable[[bytes], Any] | None:
    """Let unreadable bytes through as a mark: gRPC itself would answer INTERNAL or UNKNOWN for them.

    `path`: of the method, in full.
    """
    if deserialize is None:
        return None
    limit, batch = max_bytes(path), BATCHES.get(path)

    @functools.wraps(deserialize)
    def read(data: bytes) -> Any:
        if len(data) > limit:
            return _TOO_LARGE
        if batch is not None and len(data) > SMALL_BYTES and is_bloated(data, batch):
            return _BLOATED
        try:
            return deserialize(data)
        except DecodeError:
            return MALFORMED

    return read


def readable(request: Any, path: str) -> Any:
    """The request, or for a stream of requests the same stream, which raises at the first unreadable one.

    Raises MalformedRequest, MessageTooLarge, InvalidArgument.
    """
    if isinstance(request, Unreadable):
        raise request.refuse(path)
    return _readable_stream(request, path) if hasattr(request, "__aiter__") else request


def reading_one(handler: Any, backlog: Backlog) -> Any:
    """The same handler, as one that reads its single request itself, from a stream of them.

    Of a caller who ends without any gRPC itself would take no notice: the call would stay open for ever.
    """
    if handler.request_streaming:
        return handler
    read, write = handler.request_deserializer, handler.response_serializer

    async def first_of(requests: AsyncIterator[Any]) -> Any:
        # Who sends none waits for nothing.
        backlog.unread += 1
        try:
            return await anext(requests, MALFORMED)
        finally:
            backlog.unread -= 1

    async def answer(requests: AsyncIterator[Any], context: Any) -> Any:
        return await handler.unary_unary(await first_of(requests), context)

    async def answers(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for response in handler.unary_stream(await first_of(requests), context):
            yield response

    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(answers, read, write)
    return grpc.stream_unary_rpc_method_handler(answer, read, write)


async def _readable_stream(requests: AsyncIterator[Any], path: str) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, Unreadable):
            raise request.refuse(path)
        yield request
