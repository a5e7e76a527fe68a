"""What an ingress counts, and what it asks before it reads: a real server, a stand-in for Ray behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from server.cluster.calls import Call, End, Reply
from server.cluster.ingress import Ingress
from server.cluster.targets import Targets
from server.rpc.backlog import Backlog
from server.rpc.request_id import KEY

PREDICT = "/digits.v1.PredictionService/Predict"
GET_MODEL = "/digits.v1.ModelService/GetModel"
WATCH = "/digits.v1.TrainingService/WatchTraining"
IMPORT = "/digits.v1.SampleService/ImportSamples"
HEALTH = "/grpc.health.v1.Health/Check"
# More than may always wait.
SILENT = 100
PATIENCE_S = 60.0


class Behind(Targets):
    """Answers when it is told to, and lets in who has the right token."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []
        self.reached: list[list[bytes]] = []

    async def let_in(self, call: Call) -> End:
        self.asked.append(call.method)
        is_known = ("authorization", "Bearer right") in call.metadata
        return End(0, "", ()) if is_known else End(16, "who are you?", ((KEY, "told"),))

    async def answer(self, call: Call, requests: list[bytes]) -> Reply:
        self.reached.append(requests)
        await self.may_answer.wait()
        return [b"answer"], End(0, "", ())

    async def stream(self, call: Call, requests: list[bytes]) -> AsyncIterator[bytes | End]:
        for response in (await self.answer(call, requests))[0]:
            yield response
        yield End(0, "", ())

    async def gather(self, call: Call, requests: AsyncIterator[bytes]) -> Reply:
        return await self.answer(call, [request async for request in requests])


class Live:
    """An ingress that listens, and calls to it."""

    def __init__(self) -> None:
        self.behind = Behind()
        self.ingress = Ingress(self.behind)
        self.backlog: Backlog = self.ingress._backlog

    async def __aenter__(self) -> Live:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self.ingress,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._channel.close()
        await self._server.stop(None)

    def call(self, method: str, token: str = "right") -> Any:
        """A call that has not sent its request."""
        shown = (("authorization", f"Bearer {token}"),)
        return self._channel.stream_stream(method)(metadata=shown, timeout=PATIENCE_S)

    async def silent(self, method: str, many: int) -> list[Any]:
        """Calls that send nothing, as soon as each is waited for."""
        calls = [self.call(method) for _ in range(many)]
        await until(lambda: self.backlog.unread + self.backlog.streams == many)
        return calls

    async def under_way(self, method: str, many: int) -> list[Any]:
        """Calls that are being answered."""
        before = len(self.behind.reached)
        calls = [self.call(method) for _ in range(many)]
        for call in calls:
            await call.write(b"request")
        await until(lambda: len(self.behind.reached) == before + many)
        return calls

    async def pause(self) -> None:
        """Until it was looked what was lost."""
        await until(lambda: not self.backlog._is_watching)


async def answered(call: Any) -> bool:
    """Whether it was, well. How a call ended is told only after its responses are read."""
    return await call.read() == b"answer" and await call.code() is grpc.StatusCode.OK


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (counts, which tell nobody)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("method", [PREDICT, GET_MODEL, WATCH])
async def test_calls_that_send_nothing_do_not_wait_for_an_answer(method: str) -> None:
    async with Live() as live:
        silent = await live.silent(method, SILENT)
        await live.pause()
        assert live.backlog.waiting() == 0
        predictions = await live.under_way(PREDICT, 3)
        assert live.backlog.waiting() == 3
        # They send their request at last, as a prediction that is waited for then, or a stream.
        live.behind.may_answer.set()
        for call in silent:
            await call.write(b"request")
        for call in [*silent, *predictions]:
            assert await answered(call)
        await live.pause()
        await until(lambda: (live.backlog.unary, live.backlog.streams, live.backlog.unread) == (0, 0, 0))
        await until(lambda: live.backlog.waiting() == 0)


async def test_what_waits_for_the_lab_keeps_no_prediction_out() -> None:
    async with Live() as live:
        for_the_lab = await live.under_way(GET_MODEL, SILENT)
        await live.pause()
        assert live.backlog.waiting() == 0
        predictions = await live.under_way(PREDICT, 2)
        assert live.backlog.waiting() == 2
        live.behind.may_answer.set()
        for call in [*predictions, *for_the_lab]:
            assert await answered(call)


@pytest.mark.parametrize("method", [PREDICT, GET_MODEL, WATCH, IMPORT])
async def test_who_may_not_call_is_told_so_before_a_request_is_there(method: str) -> None:
    async with Live() as live:
        for _ in range(2):
            call = live.call(method, token="wrong")
            assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
            assert (await call.details(), dict(await call.trailing_metadata())) == (
                "who are you?",
                {KEY: "told"},
            )
        assert live.behind.asked == [method, method]
        assert live.behind.reached == []


async def test_whose_token_is_known_is_not_asked_for_with_every_call() -> None:
    async with Live() as live:
        live.behind.may_answer.set()
        for method in (PREDICT, PREDICT, GET_MODEL, WATCH, WATCH, HEALTH):
            (call,) = await live.under_way(method, 1)
            assert await answered(call)
        # Once for each role: what a token may that is enough for the one is not known of the other.
        assert live.behind.asked == [PREDICT, WATCH]
