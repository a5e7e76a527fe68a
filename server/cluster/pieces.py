"""A stream of requests, cut into pieces that are answered by themselves, several at a time and in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from server.cluster.calls import Reply

# Requests that go together: what has come while others were on their way.
MAX_MESSAGES = 64
MAX_BYTES = 8 * 2**20
# Pieces under way at once: as many predictors may work for one stream.
AT_ONCE = 4


async def in_pieces(
    requests: AsyncIterator[bytes], answer: Callable[[list[bytes]], Awaitable[Reply]]
) -> AsyncIterator[Reply]:
    """What `answer` says to each piece, in the order of the requests. None waits until it is full."""
    came: deque[bytes] = deque()
    changed = asyncio.Event()
    has_room = asyncio.Event()
    is_over = False

    async def read() -> None:
        nonlocal is_over
        try:
            async for message in requests:
                came.append(message)
                changed.set()
                # The sender is held back when nobody takes what it sends.
                if len(came) >= MAX_MESSAGES or sum(map(len, came)) >= MAX_BYTES:
                    has_room.clear()
                    await has_room.wait()
        finally:
            is_over = True
            changed.set()

    def next_piece() -> list[bytes]:
        piece: list[bytes] = []
        size = 0
        while came and len(piece) < MAX_MESSAGES and (not piece or size + len(came[0]) <= MAX_BYTES):
            piece.append(came.popleft())
            size += len(piece[-1])
        has_room.set()
        return piece

    reading = asyncio.ensure_future(read())
    under_way: deque[asyncio.Future[Reply]] = deque()
    try:
        while True:
            changed.clear()
            while came and len(under_way) < AT_ONCE:
                under_way.append(asyncio.ensure_future(answer(next_piece())))
            if under_way and under_way[0].done():
                yield under_way.popleft().result()
                continue
            if is_over and not came and not under_way:
                break
            changes = asyncio.ensure_future(changed.wait())
            waits: list[asyncio.Future[Any]] = list(under_way)[:1]
            if len(under_way) < AT_ONCE and not is_over:
                waits.append(changes)
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changes.cancel()
        await reading
    finally:
        tasks: list[asyncio.Future[Any]] = [reading, *under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
