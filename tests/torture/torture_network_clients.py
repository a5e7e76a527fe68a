"""Both clients as the network part uses them: every method at once, and how each call ended."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotBack
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from digits.client import AsyncClient, Client, ClientError, ServerUnavailable

# A call that is not back so long after its deadline hangs. Busy machines are late as well.
LATE_S = 15.0


class Promise(Enum):
    """What a client does with a method when the connection breaks while it is under way."""

    REPEATED = auto()
    ONCE = auto()  # It may not be done twice, or its answers cannot be taken back.


@dataclass(frozen=True)
class Method:
    """A call of one method, which leaves everything as it was."""

    name: str
    arguments: tuple[Any, ...] = ()
    promise: Promise = Promise.REPEATED


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and when."""

    told: str
    """"answered", or the error's class and code."""
    is_slow: bool
    took_s: float


class Blocking:
    """All methods of a `Client` at once, each on a thread."""

    kind = "Client"

    def __init__(self, address: str) -> None:
        self._client = Client(address)
        self._pool = ThreadPoolExecutor(64, "calls")

    def begin(self, method: Method, timeout_s: float) -> Future[Outcome]:
        """Call it."""
        return self._pool.submit(self._call, method, timeout_s)

    def predict(self, png: bytes) -> int:
        """The digit that is read, with the deadline of the defaults."""
        return self._client.predict(png).prediction.digit

    def close(self) -> None:
        """End it; a call that hangs ends with it."""
        self._client.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, method: Method, timeout_s: float) -> Outcome:
        started = time.monotonic()
        try:
            answer = getattr(self._client, method.name)(*method.arguments, timeout_s=timeout_s)
            if inspect.isgenerator(answer):
                list(answer)
        except Exception as error:
            return ended(error, started)
        return ended(None, started)


class Waiting:
    """All methods of an `AsyncClient` at once, on an event loop of their own."""

    kind = "AsyncClient"

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncio", daemon=True)
        self._thread.start()
        self._client = self._do(self._open(address)).result(LATE_S)

    def begin(self, method: Method, timeout_s: float) -> Future[Outcome]:
        """Call it."""
        return self._do(self._call(method, timeout_s))

    def predict(self, png: bytes) -> int:
        """The digit that is read, with the deadline of the defaults."""
        return int(self._do(self._client.predict(png)).result(LATE_S).prediction.digit)

    def close(self) -> None:
        """End it; a call that hangs ends with it."""
        self._do(self._client.close()).result(LATE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LATE_S)

    def _do(self, work: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self, address: str) -> AsyncClient:
        return AsyncClient(address)

    async def _call(self, method: Method, timeout_s: float) -> Outcome:
        started = time.monotonic()
        try:
            answer = getattr(self._client, method.name)(*method.arguments, timeout_s=timeout_s)
            if inspect.isasyncgen(answer):
                async for _ in answer:
                    continue
            else:
                await answer
        except Exception as error:
            return ended(error, started)
        return ended(None, started)


def ended(error: Exception | None, started: float) -> Outcome:
    """How a call that began at `started` ended just now."""
    took_s = time.monotonic() - started
    if error is None:
        return Outcome("answered", False, took_s)
    if not isinstance(error, ClientError):
        return Outcome(f"{type(error).__name__}: {error}", False, took_s)
    is_slow = isinstance(error, ServerUnavailable) and error.is_slow
    return Outcome(f"{type(error).__name__} {error.code} {error.reason}".strip(), is_slow, took_s)


def everywhere(client: Blocking | Waiting, called: Sequence[Method], timeout_s: float) -> dict[str, Any]:
    """Call all methods at once; the outcome of each, None for one that does not come back."""
    futures = {method.name: client.begin(method, timeout_s) for method in called}
    until = time.monotonic() + timeout_s + LATE_S
    outcomes: dict[str, Outcome | None] = {}
    for name, future in futures.items():
        try:
            outcomes[name] = future.result(max(0.0, until - time.monotonic()))
        except NotBack:
            outcomes[name] = None
    return outcomes
