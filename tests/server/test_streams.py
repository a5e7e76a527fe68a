"""A stream is worked on several requests at a time, answered in order, and never read too far ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.streams import in_order

PATIENCE_S = 10.0


class Source:
    """Numbers from 0 on, as requests; `read` of them were taken."""

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.read = 0
        self._count = count
        self._failure = failure

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(self._count):
            self.read += 1
            yield number
            await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_answers_come_in_order_whatever_takes_longest() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.02 if number % 10 == 0 else 0)
        return number * number

    answers = [answer async for answer in in_order(aiter(Source(100)), work, 8, asyncio.Event())]

    assert answers == [number * number for number in range(100)]


async def test_no_more_are_under_way_than_the_window_holds() -> None:
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return number

    assert len([answer async for answer in in_order(aiter(Source(50)), work, 8, asyncio.Event())]) == 50
    assert most == 8


async def test_a_reader_that_takes_no_answers_holds_the_sender_back() -> None:
    async def work(number: int) -> int:
        return number

    source = Source(1000)
    answers = in_order(aiter(source), work, 8, asyncio.Event())
    assert await anext(answers) == 0
    await settle()
    assert source.read == 8
    assert await anext(answers) == 1
    await settle()
    assert source.read == 9
    await answers.aclose()


async def test_when_the_server_stops_what_was_read_is_answered_and_no_more_is_read() -> None:
    gate, stopping = asyncio.Event(), asyncio.Event()

    async def work(number: int) -> int:
        await gate.wait()
        return number

    source = Source(1000)
    answers = in_order(aiter(source), work, 8, stopping)
    first = asyncio.ensure_future(anext(answers))
    await settle()
    stopping.set()
    await settle()
    gate.set()

    assert [await first, *[answer async for answer in answers]] == list(range(8))
    assert source.read == 8


async def test_a_broken_stream_fails_after_what_came_before_was_answered() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0.001)
        return number

    answers = in_order(aiter(Source(3, ConnectionError("cut off"))), work, 8, asyncio.Event())
    assert [await anext(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ConnectionError, match="cut off"):
        await anext(answers)


async def test_whoever_leaves_takes_the_work_along() -> None:
    cancelled = []

    async def work(number: int) -> int:
        try:
            await asyncio.sleep(0 if number == 0 else PATIENCE_S)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    answers = in_order(aiter(Source(1000)), work, 4, asyncio.Event())
    await anext(answers)
    await settle()
    await answers.aclose()

    assert cancelled == [1, 2, 3]
