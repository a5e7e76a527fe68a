"""Requests that belong together, and what becomes of them with their lab: Ray's handles are acted out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError

from server.cluster.calls import Call, End, Reply
from server.cluster.failures import refusal_of_ray
from server.cluster.sessions import Sessions
from server.cluster.targets import Targets
from server.errors import WorkerLost

CALL = Call("/digits.v1.SampleService/ImportSamples", (), "ipv4:127.0.0.1:1", None)
OK = End(0, "", ())


class Response:
    """What a handle's `remote` gives."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.is_cancelled = False

    def __await__(self) -> Any:
        return self._work.__await__()

    def __anext__(self) -> Any:
        return self._work.__anext__()

    def cancel(self) -> None:
        self.is_cancelled = True


class Method:
    """One method of a deployment, by its handle."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self.responses: list[Response] = []

    def remote(self, *given: Any) -> Response:
        self.responses.append(Response(self._work(*given)))
        return self.responses[-1]


class Lab:
    """Takes so many requests, then answers; or is lost when the first has come."""

    def __init__(self, takes: int, is_lost: bool = False) -> None:
        self._sessions, self._takes, self._is_lost = Sessions(), takes, is_lost
        self.feed = Method(self._sessions.feed)
        self.gather = Method(self._gather)

    async def _gather(self, call: Any, session: str) -> AsyncIterator[Reply | None]:
        taken = []
        async with self._sessions.requests(session) as requests:
            yield None
            async for request in requests:
                if self._is_lost:
                    raise ActorUnavailableError("", None)
                taken.append(request)
                if len(taken) == self._takes:
                    break
        yield taken, OK


def targets(lab: Lab) -> Targets:
    made = Targets()
    vars(made).update(_lab=lab, _gather=lab.gather)
    return made


async def requests(number: int, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for each in range(number):
        yield str(each).encode()
    if then is not None:
        await then.wait()


async def test_all_of_them_come_in_order() -> None:
    async with asyncio.timeout(60):
        taken, end = await targets(Lab(takes=20)).gather(CALL, requests(20))
    assert (taken, end) == ([str(each).encode() for each in range(20)], OK)


async def test_what_the_lab_has_refused_is_answered_though_more_would_come() -> None:
    async with asyncio.timeout(60):
        taken, _ = await targets(Lab(takes=1)).gather(CALL, requests(20, then=asyncio.Event()))
    assert taken == [b"0"]


async def test_a_lab_that_is_lost_is_no_bug_and_nothing_goes_on() -> None:
    lab = Lab(takes=20, is_lost=True)
    with pytest.raises(ActorUnavailableError) as raised:
        async with asyncio.timeout(60):
            await targets(lab).gather(CALL, requests(1, then=asyncio.Event()))
    assert isinstance(refusal_of_ray(raised.value), WorkerLost)
    assert [response.is_cancelled for response in lab.gather.responses] == [True]
