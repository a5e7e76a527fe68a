"""The client for asyncio against the real server: many at once, streams, and calls that are given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from digits.client import AsyncClient, Refused
from digits.client.records import Answer


@pytest.fixture
async def client(live_server: Any) -> AsyncIterator[AsyncClient]:
    """A client of the server that all tests share."""
    async with AsyncClient(live_server.address) as client:
        yield client


async def test_many_predictions_are_under_way_at_once(client: AsyncClient, seven_png: bytes) -> None:
    answers = await asyncio.gather(*(client.predict(seven_png) for _ in range(20)))

    assert [answer.prediction.digit for answer in answers] == [7] * 20


async def test_a_stream_answers_in_its_order_and_a_bad_image_does_not_end_it(
    client: AsyncClient, seven_png: bytes
) -> None:
    async def images() -> AsyncIterator[bytes]:
        for image in (seven_png, b"no image", seven_png):
            yield image

    first, second, third = [outcome async for outcome in client.stream_predict(images())]

    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert (first.prediction.digit, third.prediction.digit) == (7, 7)
    assert isinstance(second, Refused)
    assert (second.code, second.reason) == ("INVALID_ARGUMENT", "INVALID_IMAGE")


async def test_a_refusal_is_raised_where_the_answer_is_awaited(client: AsyncClient) -> None:
    with pytest.raises(Refused) as refusal:
        await client.predict(b"no image")

    assert refusal.value.field == "image.encoded"
    assert refusal.value.request_id


async def test_a_call_that_nobody_waits_for_any_more_is_cancelled(client: AsyncClient) -> None:
    watch = client.watch_training("no such run")
    waiting = asyncio.create_task(client.list_models())
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(Refused) as refusal:
        await anext(watch)
    assert refusal.value.code == "NOT_FOUND"


async def test_a_stream_that_is_left_early_leaves_the_client_usable(
    client: AsyncClient, seven_png: bytes
) -> None:
    async for outcome in client.stream_predict([seven_png] * 100):
        assert isinstance(outcome, Answer)
        break

    assert (await client.predict(seven_png)).prediction.digit == 7
