"""What the benchmark of Ray runs beside the real services: what does nothing, and an ingress to all.

Ray imports it in its own processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import grpc
from null_server import ANSWER
from ray import serve

from server.cluster.calls import Call, End, Reply
from server.cluster.ingress import Ingress
from server.cluster.routes import PREDICTORS
from server.cluster.targets import APPLICATION, Targets
from server.rpc.request_id import KEY

WAIT_S = 0.05
# Calls that a replica holds, as the real predictors do.
AT_ONCE = 32
_ANSWER = ANSWER.SerializeToString()


class Nothing:
    """Answers every call alike; where `wait_s` is more than 0 one after the other, each after so long."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._turn = asyncio.Lock()

    async def answer(self, call: Sequence[Any], requests: list[bytes]) -> Reply:
        """A prediction that nobody has made."""
        if self._wait_s:
            async with self._turn:
                await asyncio.sleep(self._wait_s)
        return [_ANSWER], End(0, "", ((KEY, dict(Call(*call).metadata)[KEY]),))


def nothing() -> serve.Application:
    """One that does nothing."""
    return _deployment(replicas=1).bind(0.0)


def waiting(replicas: int) -> serve.Application:
    """Some that wait a fixed time for each call, one call at a time each."""
    return _deployment(replicas).bind(WAIT_S)


def _deployment(replicas: int) -> serve.Deployment:
    return serve.deployment(Nothing).options(
        name=PREDICTORS,
        num_replicas=replicas,
        max_ongoing_requests=AT_ONCE,
        ray_actor_options={"num_cpus": 0.1},
    )


class Named(Targets):
    """Passes calls to the application that their metadata name, the real one without."""

    async def answer(self, call: Call, requests: list[bytes]) -> Reply:
        """As for the real one, which has this to itself."""
        name = str(dict(call.metadata).get("application", APPLICATION))
        reply: Reply = await _handle(name).answer.remote(tuple(call), requests)
        return reply


@lru_cache
def _handle(application: str) -> Any:
    return serve.get_deployment_handle(PREDICTORS, application, _check_exists=False)


def add_services(servicer: object, server: grpc.aio.Server) -> None:
    """In the place of `server.cluster.ingress.add_services`."""
    add: Any = super(type(server), server).add_generic_rpc_handlers  # type: ignore[misc]
    add((Ingress(Named()),))
