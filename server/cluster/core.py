"""The services, mounted for calls that come through another process: the same servicers, guards, errors.

Whatever the ingress is, a call passes the interceptor that it would pass on one machine, and its servicer;
what comes back are the bytes that gRPC would have sent, and how the call ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import grpc

from server.admission import Admission
from server.application import Application
from server.cluster.calls import Call, End, Reply
from server.cluster.context import CallContext
from server.config import Config
from server.counters import CallCounters
from server.errors import DigitsError
from server.replica import Replica
from server.rpc.access import Access, Metadata
from server.rpc.backlog import Backlog
from server.rpc.interceptors import CallInterceptor
from server.rpc.mount import Mount
from server.rpc.security import Renewal
from server.rpc.server import ADMITTED, follow_deployed, mount_services, set_health

# Responses that may wait for a reader who is slower than their handler.
AHEAD = 16


class Details(NamedTuple):
    """Stands for `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Metadata


class Handlers:
    """Stands for a server where services are added to it: keeps their handlers."""

    def __init__(self) -> None:
        self.by_path: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Any) -> None:
        """What comes this way comes the other way as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Keep the handlers of a service."""
        self.by_path |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


# For gRPC's reflection, which asks whether it is to be asynchronous.
grpc.aio.Server.register(Handlers)


class _UnderWay(Backlog):
    """Counts calls where they are answered: gRPC, which counts them elsewhere, knows none of them."""

    def take_up(self) -> None:
        """Nothing to note: what waits is in a handler already."""

    def waiting(self) -> int:
        """Calls that are being answered, other than streams."""
        return self.unary


class Core:
    """Answers calls. Use it on one event loop, from `open` to `drain`."""

    def __init__(
        self, application: Application | Replica, config: Config, calls: CallCounters | None = None
    ) -> None:
        """`calls`: where they are counted; None: nowhere."""
        self._application = application
        self._draining = asyncio.Event()
        self._backlog = backlog = _UnderWay()
        self._access = access = None if config.tokens is None else Access(config.tokens)
        self._interceptor = CallInterceptor(backlog, Admission(backlog.waiting), ADMITTED, access, calls)
        handlers = Handlers()
        server: Any = handlers
        self._health, _ = mount_services(Mount(server, ()), application, self._draining)
        self._handlers = handlers.by_path
        self._renewal = Renewal(config)
        self._following: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Begin to follow what is deployed and who may call."""
        await set_health(self._health, self._application)
        self._following = asyncio.gather(
            follow_deployed(self._health, self._application), self._renewal.follow()
        )

    def waiting(self) -> int:
        """Calls that are not answered yet, other than streams."""
        return self._backlog.waiting()

    async def drain(self) -> None:
        """End the streams that would go on for ever, and tell whoever watches that this goes down."""
        self._draining.set()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._health.enter_graceful_shutdown()

    async def let_in(self, call: Call) -> End:
        """How a call ends whose caller may not make it, before its request is there; OK for all others."""
        try:
            if self._access is not None:
                self._access.check(call.method, call.metadata)
        except DigitsError:
            # Refused, counted and logged as anywhere else.
            _, end = await self.answer(call, each([]))
            return end
        return End(0, "", ())

    async def answer(self, call: Call, requests: AsyncIterator[bytes]) -> Reply:
        """The responses to a call, all at once. Raises nothing but CancelledError."""
        handler, responses = await self._handler(call), []
        if handler.response_streaming:
            ends: list[End] = []
            async for response in self.stream(call, requests):
                responses.append(response) if isinstance(response, bytes) else ends.append(response)
            return responses, ends[0]
        context = CallContext(call)
        with contextlib.suppress(grpc.aio.AbortError):
            response = await handler.stream_unary(_read(handler, requests), context)
            responses = [handler.response_serializer(response)]
        return responses, context.end

    async def stream(self, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes | End]:
        """The responses to a call, each when it is there, and at last its end."""
        handler = await self._handler(call)
        sent: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)

        async def write(response: Any) -> None:
            await sent.put(handler.response_serializer(response))

        context, is_closing = CallContext(call, write), False

        async def work() -> None:
            try:
                with contextlib.suppress(grpc.aio.AbortError):
                    if handler.response_streaming:
                        result = handler.stream_stream(_read(handler, requests), context)
                        if not isinstance(result, AsyncIterator):
                            await result  # It refuses, and has no responses.
                            return
                        async for response in result:
                            await write(response)
                    else:
                        await write(await handler.stream_unary(_read(handler, requests), context))
            finally:
                if not is_closing:
                    await sent.put(None)

        working = asyncio.create_task(work())
        try:
            while (response := await sent.get()) is not None:
                yield response
            await working
        finally:
            is_closing = True
            working.cancel()
        yield context.end

    async def _handler(self, call: Call) -> Any:
        """The guarded handler of a method, or one that refuses this call."""

        async def find(details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
            return self._handlers.get(call.method)

        details: Any = Details(call.method, call.metadata)
        return await self._interceptor.intercept_service(find, details)


async def _read(handler: Any, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """The requests as the handler takes them: what refuses a call unread reads none."""
    read = handler.request_deserializer
    async for data in requests:
        yield data if read is None else read(data)


async def each(messages: list[bytes]) -> AsyncIterator[bytes]:
    """Messages that have all come."""
    for message in messages:
        yield message
