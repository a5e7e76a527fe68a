"""The deployments as the ingress calls them: by Ray's handles, each call cancelled with its caller's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

from ray import serve

from server.cluster.calls import Call, End, Reply
from server.cluster.reach import Reach
from server.cluster.routes import LAB, PREDICTORS, deployment

APPLICATION = "digits"
"""Of Ray Serve. Callers need not name it, as they would for Ray's own handlers."""


class Targets:
    """Passes calls on. What Ray raises goes on as it is; WorkerLost is raised when the lab is away."""

    async def let_in(self, call: Call) -> End:
        """How a call ends whose caller may not make it; OK for all others."""
        name = deployment(call.method)
        return End(*await self._reached(name, self._let_in[name].remote(tuple(call))))

    async def answer(self, call: Call, requests: list[bytes]) -> Reply:
        """The responses to a call whose requests are all there."""
        name = deployment(call.method)
        reply: Reply = await self._reached(name, self._answer[name].remote(tuple(call), requests))
        return reply

    async def stream(self, call: Call, requests: list[bytes]) -> AsyncIterator[bytes | End]:
        """The responses to a call, each when it is there, and at last its end."""
        name = deployment(call.method)
        responses = self._stream[name].remote(tuple(call), requests)
        try:
            # When there is a first one there is a process, and Ray tells when it is gone.
            response = await (self._reach.wait(_next(responses)) if name == LAB else _next(responses))
            while isinstance(response, bytes):
                yield response
                response = await _next(responses)
            yield End(*response)
        finally:
            # Of one that has ended this does nothing.
            responses.cancel()

    async def gather(self, call: Call, requests: AsyncIterator[bytes]) -> Reply:
        """The response to a call whose requests follow each other, in the lab."""
        session = secrets.token_hex(16)
        # What is fed elsewhere, or later, is dropped: the requests are kept as long as this one lasts.
        replies = self._gather.remote(tuple(call), session)
        tasks: list[asyncio.Future[Any]] = []
        try:
            await self._reach.wait(_next(replies))
            answering = asyncio.ensure_future(_next(replies))
            feeding = asyncio.ensure_future(self._feed(session, requests))
            tasks = [answering, feeding]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            reply: Reply = await answering
            return reply
        finally:
            replies.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, session: str, requests: AsyncIterator[bytes]) -> None:
        async for data in requests:
            await _finished(self._lab.feed.remote(session, data))
        await _finished(self._lab.feed.remote(session, None))

    async def _reached(self, name: str, response: Any) -> Any:
        """What a call comes to. Of the predictors Ray refuses calls by itself when too many wait for one."""
        return await (self._reach.wait(_finished(response)) if name == LAB else _finished(response))

    async def _sign_of_the_lab(self) -> None:
        await _finished(self._lab.is_there.remote())

    # Handles begin to work with the first call of a proxy: before that there may be no application.

    @cached_property
    def _handles(self) -> dict[str, Any]:
        return {
            name: serve.get_deployment_handle(name, APPLICATION, _check_exists=False).options(
                # Nothing travels that plain pickles cannot say.
                request_serialization="pickle",
                response_serialization="pickle",
            )
            for name in (PREDICTORS, LAB)
        }

    @cached_property
    def _lab(self) -> Any:
        return self._handles[LAB]

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._sign_of_the_lab)

    @cached_property
    def _let_in(self) -> dict[str, Any]:
        return {name: handle.let_in for name, handle in self._handles.items()}

    @cached_property
    def _gather(self) -> Any:
        return self._lab.gather.options(stream=True)

    @cached_property
    def _answer(self) -> dict[str, Any]:
        return {name: handle.answer for name, handle in self._handles.items()}

    @cached_property
    def _stream(self) -> dict[str, Any]:
        return {name: handle.stream.options(stream=True) for name, handle in self._handles.items()}


async def _next(responses: Any) -> Any:
    return await anext(responses)


async def _finished(response: Any) -> Any:
    """What a call comes to; cancelled with whoever waits for it."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
