"""Requests that belong together and come one by one, each by a call of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Requests that may wait: one is worked on, one is there.
AHEAD = 2


class _Session:
    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        self.is_over = asyncio.Event()


class Sessions:
    """The streams of requests that are open, by a name that only their ingress knows. For one event loop."""

    def __init__(self) -> None:
        self._open: dict[str, _Session] = {}

    async def feed(self, name: str, request: bytes | None) -> None:
        """Hand over a request, or None after the last; who sends more than is taken waits here."""
        session = self._open.get(name)
        if session is None:
            return  # Whoever took them has refused the rest.
        putting = asyncio.ensure_future(session.came.put(request))
        over = asyncio.ensure_future(session.is_over.wait())
        try:
            await asyncio.wait((putting, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
            over.cancel()

    @asynccontextmanager
    async def requests(self, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The requests that come under this name, in order, while the context lasts."""
        session = self._open[name] = _Session()

        async def take() -> AsyncIterator[bytes]:
            while (request := await session.came.get()) is not None:
                yield request

        try:
            yield take()
        finally:
            del self._open[name]
            session.is_over.set()
