"""What runs on the cluster: predictors, as many as are needed, and the lab, which owns the data.

Each process holds the domain and a core, as a server on one machine does; Ray starts it, calls it, and starts
it again when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig

from server.claim import own
from server.cluster.calls import Call, End, Reply
from server.cluster.core import Core, each
from server.cluster.routes import LAB, PREDICTORS
from server.cluster.sessions import Sessions
from server.cluster.settings import ClusterSettings, read_settings
from server.config import CannotStart, Config, read_config
from server.counters import CallCounters
from server.logs import set_up_logging
from server.memory import return_large_blocks
from server.monitoring import MetricsServer, ServerCollector
from server.replica import Replica

log = logging.getLogger(__name__)

# Calls that a process works on at once. Of a predictor more would only wait there, where Ray could no longer
# give them to another one; in the lab most of them are streams that wait for something to happen.
AT_ONCE_PREDICTOR, AT_ONCE_LAB = 32, 10_000
# So many more may wait at each ingress for a predictor: beyond that they are refused.
MAX_QUEUED = 256
# Predictors are added until each has about so many calls to work on.
TARGET_ONGOING = 8
# On the average of so long, and when it has stayed so for so long. Ray hears of it every ten seconds.
LOOK_BACK_S, UP_AFTER_S, DOWN_AFTER_S = 12, 5, 120
# The lab before this one may still be ending when Ray starts the next.
CLAIM_S = 60.0
RETRY_S = 0.2
# Ray asks a process whether it is well, so often, and gives it up after so long.
HEALTH_EVERY_S, HEALTH_TIMEOUT_S = 2.0, 30.0
# It holds a password.
OF_THE_LAB = ("DIGITS_DATABASE_URL",)
# Where Ray's own services run: the head's disk holds DIGITS_DATA.
HEAD = {"node:__internal_head__": 0.001}


class _Member:
    """What both kinds of process are: a core that Ray calls."""

    _core: Core

    async def let_in(self, call: Sequence[Any]) -> End:
        """How a call ends whose caller may not make it; OK for all others."""
        return End(*await self._core.let_in(Call(*call)))

    async def answer(self, call: Sequence[Any], requests: list[bytes]) -> Reply:
        """The responses to a call whose requests are all there."""
        responses, end = await self._core.answer(Call(*call), each(requests))
        return responses, End(*end)

    async def stream(
        self, call: Sequence[Any], requests: list[bytes]
    ) -> AsyncIterator[bytes | tuple[Any, ...]]:
        """The responses to a call, each when it is there, and at last its end."""
        async for response in self._core.stream(Call(*call), each(requests)):
            yield response

    async def drain(self) -> None:
        """Take leave of those who would stay for ever."""
        await self._core.drain()


class Predictors(_Member):
    """One of those that answer predictions, from the models alone."""

    # Ray waits for it.
    async def __init__(  # type: ignore[misc]
        self, environment: Mapping[str, str], lab: object
    ) -> None:
        """`lab` makes one application of the two; it is the ingress that calls it."""
        config = _begin(environment, is_replica=True)
        self._replica = await asyncio.to_thread(Replica, config)
        self._core = Core(self._replica, config)
        await self._core.open()

    async def deployed(self) -> int | None:
        """The version that answers here."""
        return self._replica.deployed

    async def __del__(self) -> None:
        """Ray calls it when every call has been answered."""
        if hasattr(self, "_replica"):
            await asyncio.to_thread(self._replica.close)


class Lab(_Member):
    """The one process that owns the data folder, the runs and the sweeps."""

    # Ray waits for it.
    async def __init__(self, environment: Mapping[str, str]) -> None:  # type: ignore[misc]
        config = _begin(environment, is_replica=False)
        self._sessions = Sessions()
        self._claim = contextlib.ExitStack()
        await asyncio.to_thread(_take, self._claim, config)
        self._application = await asyncio.to_thread(_open, config, read_settings(environment))
        calls = None if config.metrics_port is None else CallCounters()
        self._core = Core(self._application, config, calls)
        collector = None if calls is None else ServerCollector(self._application, calls, self._core.waiting)
        self._metrics = None if collector is None else MetricsServer(config, collector)
        await self._core.open()

    async def is_there(self) -> None:
        """Come back: a sign of life."""

    async def feed(self, session: str, request: bytes | None) -> None:
        """The next of them, None after the last. Comes back when it is taken, or nobody takes any more."""
        await self._sessions.feed(session, request)

    async def gather(self, call: Sequence[Any], session: str) -> AsyncIterator[Reply | None]:
        """None as soon as they may come; then the response to all of them."""
        async with self._sessions.requests(session) as requests:
            yield None
            responses, end = await self._core.answer(Call(*call), requests)
        yield responses, End(*end)

    async def deployed(self) -> int | None:
        """The version that answers."""
        version: int | None = self._application.deployed
        return version

    async def metrics_port(self) -> int | None:
        """Where Prometheus is told of the lab, on its machine."""
        return None if self._metrics is None else self._metrics.port

    async def __del__(self) -> None:
        """Ray calls it when every call has been answered."""
        if hasattr(self, "_application"):
            if self._metrics is not None:
                self._metrics.close()
            await asyncio.to_thread(self._application.close)
        self._claim.close()


def build(environment: Mapping[str, str], settings: ClusterSettings, grace_s: float) -> serve.Application:
    """The application for Ray Serve. `environment`: the settings of its processes, DIGITS_…"""
    deployment: Any = serve.deployment
    common: dict[str, Any] = {
        "health_check_period_s": HEALTH_EVERY_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "graceful_shutdown_timeout_s": grace_s + 10,
        "graceful_shutdown_wait_loop_s": 0.2,
    }
    # Without processors of its own, so that it has a place on every head: what computes is elsewhere.
    lab = deployment(Lab).options(
        name=LAB,
        num_replicas=1,
        max_ongoing_requests=AT_ONCE_LAB,
        ray_actor_options={"num_cpus": 0, "resources": HEAD},
        **common,
    )
    scaling: dict[str, Any] = {"num_replicas": settings.smallest}
    if settings.smallest < settings.largest:
        scaling = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=settings.smallest,
                initial_replicas=settings.smallest,
                max_replicas=settings.largest,
                target_ongoing_requests=TARGET_ONGOING,
                look_back_period_s=LOOK_BACK_S,
                upscale_delay_s=UP_AFTER_S,
                downscale_delay_s=DOWN_AFTER_S,
            )
        }
    predictors = deployment(Predictors).options(
        name=PREDICTORS,
        max_ongoing_requests=AT_ONCE_PREDICTOR,
        max_queued_requests=MAX_QUEUED,
        ray_actor_options={"num_cpus": settings.predictor_cpus},
        **scaling,
        **common,
    )
    kept = {name: value for name, value in environment.items() if name.startswith("DIGITS_")}
    # Ray tells every process of a deployment what it was bound with: predictors use no database.
    without = {name: value for name, value in kept.items() if name not in OF_THE_LAB}
    application: serve.Application = predictors.bind(without, lab.bind(kept))
    return application


def _begin(environment: Mapping[str, str], is_replica: bool) -> Config:
    config = read_config(environment, is_replica=is_replica)
    set_up_logging(config.log_level)
    return_large_blocks()
    return config


def _take(claim: contextlib.ExitStack, config: Config) -> None:
    """Own the data folder. Raises CannotStart when another process keeps it for too long."""
    from server.backup.swap import clear_dead, finish

    deadline = time.monotonic() + CLAIM_S
    while True:
        try:
            claim.enter_context(own(config.data, config.address))
            break
        except CannotStart:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
    finish(config.data)
    clear_dead(config.data)


def _open(config: Config, settings: ClusterSettings) -> Any:
    from server.application import Application
    from server.cluster.training import RayLaunch
    from server.cluster.tuning import RayTuner

    launch = RayLaunch(settings.training_cpus, settings.training_gpus)
    return Application(config, launch=launch, at_once=launch.at_once, tuner=RayTuner())
