"""The deployments as the ingress calls them: by Ray's handles, each call cancelled with its caller's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

from ray import serve

from server.cluster.calls import Call, End, Reply
from server.cluster.routes import LAB, PREDICTORS, deployment

APPLICATION = "digits"
"""Of Ray Serve. Callers need not name it, as they would for Ray's own handlers."""


class Targets:
    """Passes calls on. What Ray raises goes on as it is."""

    async def answer(self, call: Call, requests: list[bytes]) -> Reply:
        """The responses to a call whose requests are all there."""
        reply: Reply = await _finished(self._answer[deployment(call.method)].remote(tuple(call), requests))
        return reply

    async def stream(self, call: Call, requests: list[bytes]) -> AsyncIterator[bytes | End]:
        """The responses to a call, each when it is there, and at last its end."""
        responses = self._stream[deployment(call.method)].remote(tuple(call), requests)
        try:
            async for response in responses:
                yield response if isinstance(response, bytes) else End(*response)
        finally:
            # Of one that has ended this does nothing.
            responses.cancel()

    async def gather(self, call: Call, requests: AsyncIterator[bytes]) -> Reply:
        """The response to a call whose requests follow each other, in the lab."""
        session = secrets.token_hex(16)
        await _finished(self._lab.begin.remote(session))
        answering = asyncio.ensure_future(_finished(self._lab.gather.remote(tuple(call), session)))
        feeding = asyncio.ensure_future(self._feed(session, requests))
        try:
            await asyncio.wait((answering, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            reply: Reply = await answering
            return reply
        finally:
            for task in (answering, feeding):
                task.cancel()
            await asyncio.gather(answering, feeding, return_exceptions=True)

    async def _feed(self, session: str, requests: AsyncIterator[bytes]) -> None:
        async for data in requests:
            await _finished(self._lab.feed.remote(session, data))
        await _finished(self._lab.feed.remote(session, None))

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
    def _answer(self) -> dict[str, Any]:
        return {name: handle.answer for name, handle in self._handles.items()}

    @cached_property
    def _stream(self) -> dict[str, Any]:
        return {name: handle.stream.options(stream=True) for name, handle in self._handles.items()}


async def _finished(response: Any) -> Any:
    """What a call comes to; cancelled with whoever waits for it."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
