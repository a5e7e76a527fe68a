"""A stream of requests, worked on several at a time and answered in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def in_order(
    requests: AsyncIterator[Request],
    work: Callable[[Request], Awaitable[Answer]],
    window: int,
    stopping: asyncio.Event,
) -> AsyncIterator[Answer]:
    """The answers of `work` to `requests`, in their order; at most `window` of them are under way.

    No request is read before an answer was taken when `window` are under way: who reads answers slowly
    holds back the sender. Once `stopping` is set no more are read, and the answers end with the last one
    that was. An error of `requests` comes after the answers to what was read before it.
    """
    free = asyncio.Semaphore(window)
    answers: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()

    async def read() -> None:
        try:
            await free.acquire()
            async for request in requests:
                answers.put_nowait(asyncio.ensure_future(work(request)))
                await free.acquire()
        finally:
            answers.put_nowait(None)

    async def stop() -> None:
        await stopping.wait()
        reader.cancel()

    reader, stopper = asyncio.ensure_future(read()), asyncio.ensure_future(stop())
    try:
        while (answer := await answers.get()) is not None:
            yield await answer
            free.release()
        if not reader.cancelled():
            await reader
    finally:
        unread = [answer for _ in range(answers.qsize()) if (answer := answers.get_nowait()) is not None]
        left: list[asyncio.Future[Any]] = [reader, stopper, *unread]
        for task in left:
            task.cancel()
        # Waited for, so that the error of one that nobody reads any more is not reported as forgotten.
        await asyncio.gather(*left, return_exceptions=True)
