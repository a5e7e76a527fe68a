"""A stream cut into pieces: in order, several at a time, held back, and let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from server.cluster.calls import End, Reply
from server.cluster.pieces import AT_ONCE, MAX_BYTES, MAX_MESSAGES, in_pieces

OK = End(grpc.StatusCode.OK.value[0], "", ())


async def sent(messages: list[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


async def collect(requests: AsyncIterator[bytes], answer: object) -> list[bytes]:
    return [one async for responses, _ in in_pieces(requests, answer) for one in responses]


async def test_responses_come_in_the_order_of_the_requests_whichever_piece_is_done_first() -> None:
    messages = [str(number).encode() for number in range(4 * MAX_MESSAGES)]
    under_way, most = 0, 0

    async def answer(piece: list[bytes]) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        # The first of those that are under way together takes longest.
        await asyncio.sleep(0.01 if int(piece[0]) == 0 else 0)
        under_way -= 1
        return piece, OK

    assert await collect(sent(messages), answer) == messages
    assert 1 < most <= AT_ONCE


async def test_a_request_that_comes_alone_is_answered_before_the_next_one_comes() -> None:
    answered = asyncio.Event()

    async def one_after_the_other() -> AsyncIterator[bytes]:
        for number in range(3):
            yield str(number).encode()
            await answered.wait()
            answered.clear()

    async def answer(piece: list[bytes]) -> Reply:
        return piece, OK

    received = []
    async with asyncio.timeout(60):
        async for responses, _ in in_pieces(one_after_the_other(), answer):
            received += responses
            answered.set()
    assert received == [b"0", b"1", b"2"]


async def test_no_piece_is_larger_than_a_message_may_be() -> None:
    sizes: list[int] = []

    async def answer(piece: list[bytes]) -> Reply:
        sizes.append(sum(map(len, piece)))
        return [b""] * len(piece), OK

    large = [bytes(MAX_BYTES // 2 + 1)] * 5
    assert len(await collect(sent(large), answer)) == 5
    assert max(sizes) <= MAX_BYTES


async def test_a_sender_who_is_faster_than_the_answers_is_held_back() -> None:
    read = 0
    goes_on = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x"
            await asyncio.sleep(0)

    async def answer(piece: list[bytes]) -> Reply:
        await goes_on.wait()
        return piece, OK

    pieces = in_pieces(endless(), answer)
    first = asyncio.ensure_future(anext(pieces))
    before = -1
    async with asyncio.timeout(60):
        while read != before:
            before = read
            await asyncio.sleep(0.05)
    assert read <= (AT_ONCE + 1) * MAX_MESSAGES + 1
    goes_on.set()
    await first
    await pieces.aclose()


async def test_what_is_under_way_is_let_go_with_the_stream() -> None:
    cancelled = asyncio.Event()

    async def answer(piece: list[bytes]) -> Reply:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return piece, OK

    taking = asyncio.ensure_future(collect(sent([b"x"]), answer))
    await asyncio.sleep(0.05)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    async with asyncio.timeout(60):
        await cancelled.wait()


async def test_a_fault_of_the_sender_ends_the_stream_as_it_is() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError("too large")

    async def answer(piece: list[bytes]) -> Reply:
        return piece, OK

    with pytest.raises(ValueError, match="too large"):
        await collect(broken(), answer)
