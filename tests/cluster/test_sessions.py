"""Requests that belong together, fed one by one: in order, held back, and dropped when nobody takes them."""

from __future__ import annotations

import asyncio

from server.cluster.sessions import AHEAD, Sessions


async def test_requests_come_in_order_until_the_last() -> None:
    sessions = Sessions()

    async def feed(name: str) -> None:
        for number in range(10):
            await sessions.feed(name, f"{name}{number}".encode())
        await sessions.feed(name, None)

    async def take(name: str) -> list[bytes]:
        async with sessions.requests(name) as requests:
            feeding = asyncio.ensure_future(feed(name))
            taken = [request async for request in requests]
            await feeding
            return taken

    async with asyncio.timeout(60):
        taken = await asyncio.gather(take("a"), take("b"))
    assert taken[:2] == [[f"{name}{number}".encode() for number in range(10)] for name in "ab"]


async def test_who_feeds_faster_than_is_taken_waits() -> None:
    sessions = Sessions()
    async with asyncio.timeout(60), sessions.requests("a") as requests:
        for _ in range(AHEAD):
            await sessions.feed("a", b"x")
        feeding = asyncio.ensure_future(sessions.feed("a", b"y"))
        await asyncio.sleep(0.05)
        assert not feeding.done()
        assert await anext(requests) == b"x"
        await feeding


async def test_what_nobody_takes_any_more_is_dropped() -> None:
    sessions = Sessions()
    feeding = []
    async with asyncio.timeout(60):
        async with sessions.requests("a"):
            feeding += [asyncio.ensure_future(sessions.feed("a", b"x")) for _ in range(AHEAD + 2)]
            await asyncio.sleep(0.05)
        # Those who wait are let go, and whoever comes later does not wait.
        await asyncio.gather(*feeding)
        await sessions.feed("a", b"z")
        await sessions.feed("unknown", b"z")
