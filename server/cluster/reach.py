"""Whether there is anybody to answer: Ray has calls wait, without end, for a process that is not there.

Calls may last, and be silent, for as long as they like where they are answered. So it is not the call that is
timed: who would answer it is asked for a sign of life.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from server.cluster.failures import GONE
from server.errors import WorkerLost

log = logging.getLogger(__name__)

# So long a call is waited for before a sign of life is asked for, and so long that is waited for.
PATIENCE_S = 5.0

T = TypeVar("T")


class Reach:
    """Waits for answers as long as there is somebody to give them. Use it on one event loop."""

    def __init__(self, ask: Callable[[], Awaitable[object]], patience_s: float = PATIENCE_S) -> None:
        """`ask` comes back when it has heard of whoever answers."""
        self._ask = ask
        self._patience_s = patience_s
        self._asking: asyncio.Future[bool] | None = None

    async def wait(self, answer: Awaitable[T]) -> T:
        """What `answer` comes to, which is cancelled with this. Raises WorkerLost when nobody is there."""
        waiting = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait({waiting}, timeout=self._patience_s))[0]:
                asking = self._sign_of_life()
                either: list[asyncio.Future[Any]] = [waiting, asking]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done() and not asking.result():
                    raise WorkerLost
            return waiting.result()
        finally:
            waiting.cancel()

    def _sign_of_life(self) -> asyncio.Future[bool]:
        """One for all who wait for it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._is_there())
        return self._asking

    async def _is_there(self) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ask()
        except (TimeoutError, *GONE) as error:
            log.warning("nobody answers", extra={"fault": type(error).__name__})
            return False
        return True
