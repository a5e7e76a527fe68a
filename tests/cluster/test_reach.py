"""Calls wait as long as there is somebody to answer them, and no longer."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import RayActorError

from server.cluster.reach import Reach
from server.errors import WorkerLost

SOON_S = 0.02


async def test_a_call_ends_when_nobody_gives_a_sign_of_life() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def gone() -> None:
        raise RayActorError

    for ask in (never, gone):
        answer: asyncio.Future[int] = asyncio.Future()
        with pytest.raises(WorkerLost):
            async with asyncio.timeout(60):
                await Reach(ask, SOON_S).wait(answer)
        assert answer.cancelled()


async def test_a_call_may_last_where_it_is_answered() -> None:
    answer: asyncio.Future[int] = asyncio.Future()
    asked = 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            answer.set_result(7)

    async with asyncio.timeout(60):
        assert await Reach(ask, SOON_S).wait(answer) == 7
    assert asked == 5


async def test_many_who_wait_ask_once() -> None:
    asked, is_asked, may_tell = 0, asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        nonlocal asked
        asked += 1
        is_asked.set()
        await may_tell.wait()
        answer.set_result(7)

    answer: asyncio.Future[int] = asyncio.Future()
    reach = Reach(ask, patience_s=1.0)

    async def wait() -> int:
        return await reach.wait(asyncio.shield(answer))

    async with asyncio.timeout(60):
        waiting = [asyncio.ensure_future(wait()) for _ in range(20)]
        await is_asked.wait()
        # Who goes takes nothing from the others.
        waiting.pop().cancel()
        may_tell.set()
        assert await asyncio.gather(*waiting) == [7] * 19
    assert asked == 1


async def test_what_an_answer_fails_with_goes_on_as_it_is() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def ask() -> None:
        raise AssertionError("nobody needs to be asked")

    with pytest.raises(ZeroDivisionError):
        await Reach(ask).wait(fail())
