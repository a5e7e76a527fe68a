"""What a refused call has held is let go at once: the request, and what lay in the frames that failed."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from server.admission import Admission
from server.errors import InvalidImage
from server.rpc.backlog import Backlog
from server.rpc.interceptors import CallInterceptor

METHOD = "/digits.v1.PredictionService/ReadNumber"
CALLS = 5


class Picture(np.ndarray[Any, Any]):
    """An array that can be watched."""


def fail(held: list[weakref.ref[Picture]]) -> None:
    """Fail as the search for digits does: with a picture at hand, and for another reason."""
    picture = np.zeros((64, 64), np.uint8).view(Picture)
    held.append(weakref.ref(picture))
    try:
        raise ValueError(picture.shape)
    except ValueError as cause:
        raise InvalidImage("encoded", "too much") from cause


@pytest.mark.parametrize("is_stream", [False, True], ids=["one answer", "a stream"])
def test_no_picture_waits_for_pythons_collector(is_stream: bool) -> None:
    held: list[weakref.ref[Picture]] = []

    async def one(request: bytes, context: Any) -> bytes:
        fail(held)
        return b""

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        fail(held)
        yield b""

    handler = (
        grpc.unary_stream_rpc_method_handler(stream)
        if is_stream
        else grpc.unary_unary_rpc_method_handler(one)
    )

    async def end(call: Any) -> None:
        await (anext(aiter(call)) if is_stream else call)

    async def refuse() -> None:
        backlog = Backlog()
        interceptor = CallInterceptor(backlog, Admission(backlog.waiting), frozenset())
        server = grpc.aio.server(interceptors=[interceptor])
        service, name = METHOD.strip("/").split("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_stream(METHOD) if is_stream else channel.unary_unary(METHOD)
                for _ in range(CALLS):
                    with pytest.raises(grpc.RpcError):
                        await end(call(b"", timeout=60))
        finally:
            await server.stop(None)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(refuse())
    finally:
        gc.enable()
    assert [picture() for picture in held] == [None] * CALLS
