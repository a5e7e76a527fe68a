"""Ray Serve's gRPC proxies, taking calls for the core: bytes in, bytes out, and nothing of Ray in between.

Ray's own handlers answer errors without their details and with stack traces, and know neither deadlines nor
binary metadata. So the proxies are given a handler that passes calls on by Ray's deployment handles, and ends
them as the core says. Ray imports `add_services` in each proxy (`gRPCOptions.grpc_servicer_functions`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc

from server.admission import Admission
from server.cluster.accepted import Accepted
from server.cluster.calls import CODES, Call, End, plain
from server.cluster.failures import refusal_of_ray
from server.cluster.keep_alive import warn_without
from server.cluster.peers import is_loopback
from server.cluster.pieces import in_pieces
from server.cluster.routes import PREDICTORS, Kind, deployment, kind
from server.cluster.targets import Targets
from server.errors import CallerElsewhere, DigitsError, Overloaded
from server.logs import set_up_logging
from server.rpc import status
from server.rpc.backlog import Backlog
from server.rpc.options import MAX_RECEIVED_BYTES
from server.rpc.request_id import KEY, request_id

log = logging.getLogger(__name__)

# Answered by Ray: that its proxy lives, and which applications there are.
RAYS_OWN = "/ray.serve."
Context = grpc.aio.ServicerContext[Any, Any]


def add_services(servicer: object, server: grpc.aio.Server) -> None:
    """Have one of Ray's proxies take every call, of whichever method. Ray gives a servicer for nothing."""
    _add(Ingress(Targets()), server)


def add_services_on_loopback(servicer: object, server: grpc.aio.Server) -> None:
    """The same for callers on the proxy's own machine. Ray's proxies listen on all of its addresses."""
    _add(Ingress(Targets(), is_local=True), server)


def _add(ingress: Ingress, server: grpc.aio.Server) -> None:
    set_up_logging("info")
    warn_without()
    # As gRPC's own server: the method of Ray's class would put Ray's handlers in the place of this one.
    add: Any = super(type(server), server).add_generic_rpc_handlers  # type: ignore[misc]
    add((ingress,))


class Ingress(grpc.GenericRpcHandler):
    """Takes calls, and passes them on."""

    def __init__(self, targets: Targets, is_local: bool = False) -> None:
        """`is_local`: refuse whoever calls from another machine."""
        self._targets = targets
        self._is_local = is_local
        # What the proxy has no time for waits inside gRPC.
        self._backlog = Backlog()
        self._accepted = Accepted()
        self._admission = Admission(self._backlog.waiting)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call, which reads its requests itself: none may come at all."""
        method = str(details.method)
        if method.startswith(RAYS_OWN):
            return None
        self._backlog.take_up()
        takes = {
            Kind.RESPONSES: self._responses,
            Kind.SEPARATE: self._separate,
            Kind.TOGETHER: self._together,
        }.get(kind(method) or Kind.ONCE, self._once)
        # A stream holds its sender back by itself; the lab looks after its own.
        is_admitted = takes == self._once and deployment(method) == PREDICTORS

        async def take(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            shown: Any = context.invocation_metadata() or ()
            called = request_id(shown)
            metadata = plain((key, value) for key, value in shown if key != KEY)
            call = Call(method, (*metadata, (KEY, called)), context.peer(), context.time_remaining())
            self._backlog.streams += not is_admitted
            self._backlog.unary += is_admitted
            try:
                if self._is_local and not is_loopback(call.peer):
                    raise CallerElsewhere
                refusal = await self._refusal(call)
                responses = takes(call, _received(requests)) if refusal is None else _alone(refusal)
                async for response in responses:
                    if not isinstance(response, End):
                        yield response
                    elif response.code:
                        await context.abort(CODES[response.code], response.message, response.trailing)
                    else:
                        context.set_trailing_metadata(response.trailing)
            except _TooLarge:
                await context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, "the message is too large to be received"
                )
            except (grpc.aio.AbortError, asyncio.CancelledError, GeneratorExit):
                raise
            except Exception as error:
                await context.abort(*_end_of(error, call))
            finally:
                self._backlog.streams -= not is_admitted
                self._backlog.unary -= is_admitted

        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(take)
        return handler

    async def _refusal(self, call: Call) -> End | None:
        """How a call ends whose caller may not make it. That is asked before its request is read."""
        # What is no method is refused unread in any case.
        if kind(call.method) is None or self._accepted.includes(call):
            return None
        end = await self._targets.let_in(call)
        if end.code:
            return end
        self._accepted.add(call)
        return None

    async def _once(self, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes | End]:
        if kind(call.method) is None:
            messages = []
        elif deployment(call.method) == PREDICTORS:
            messages = await self._first_of_admitted(requests)
            self._admission.admit()
        else:
            messages = await _first(requests)
        responses, end = await self._targets.answer(call, messages)
        for response in responses:
            yield response
        yield end

    async def _responses(self, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes | End]:
        async for response in self._targets.stream(call, await _first(requests)):
            yield response

    async def _separate(self, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes | End]:
        end = None
        async for responses, end in in_pieces(requests, lambda piece: self._targets.answer(call, piece)):
            for response in responses:
                yield response
            if end.code:
                break
        if end is None:
            _, end = await self._targets.answer(call, [])
        yield end

    async def _together(self, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes | End]:
        responses, end = await self._targets.gather(call, requests)
        for response in responses:
            yield response
        yield end

    async def _first_of_admitted(self, requests: AsyncIterator[bytes]) -> list[bytes]:
        """As `_first`. Who sends none waits for nothing, and is counted as nothing else meanwhile."""
        self._backlog.unary -= 1
        self._backlog.unread += 1
        try:
            return await _first(requests)
        finally:
            self._backlog.unread -= 1
            self._backlog.unary += 1


async def _first(requests: AsyncIterator[bytes]) -> list[bytes]:
    """The first request, if one comes."""
    async for data in requests:
        return [data]
    return []


async def _alone(end: End) -> AsyncIterator[bytes | End]:
    yield end


class _TooLarge(Exception):
    """A message is larger than gRPC itself would receive on one machine."""


async def _received(requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for data in requests:
        if len(data) > MAX_RECEIVED_BYTES:
            raise _TooLarge
        yield data


def _end_of(error: Exception, call: Call) -> tuple[grpc.StatusCode, str, status.Trailing]:
    """What a caller is told of a call that did not come through."""
    refusal = error if isinstance(error, DigitsError) else refusal_of_ray(error)
    called = dict(call.metadata)[KEY]
    extra = {"method": call.method, "request_id": called, "fault": type(error).__name__}
    if isinstance(refusal, Overloaded):
        # Of overload there may be thousands a second: admission tells how many.
        trailing = status.trailing_of_overload(refusal)
        return status.status_code(refusal), status.to_message(refusal), (*trailing, (KEY, called))
    if refusal is None:
        log.error("bug", exc_info=error, extra=extra)
        code, told = grpc.StatusCode.INTERNAL, status.internal_status()
    else:
        log.warning("not passed on", extra=extra)
        code, told = status.status_code(refusal), status.to_status(refusal)
    return code, told.message, (*status.trailing_metadata(told), (KEY, called))
