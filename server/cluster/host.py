"""Ray Serve with the services of this project, from their start to their orderly end."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from server.claim import own
from server.cluster.connection import joined
from server.cluster.settings import ClusterSettings
from server.config import CannotStart, Config, InvalidSetting, is_loopback

log = logging.getLogger(__name__)

INGRESS = "server.cluster.ingress.add_services"
INGRESS_ON_LOOPBACK = "server.cluster.ingress.add_services_on_loopback"
# How long the processes may take to start, on a machine with much else to do.
START_S = 300.0
LOOK_EVERY_S = 0.1


def serve(config: Config, settings: ClusterSettings, environment: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then end in order. Raises CannotStart."""
    from server.cluster.routes import LAB

    told_to_end = threading.Event()
    config = replace(config, port=_free_port(config))
    environment = {**environment, "DIGITS_PORT": str(config.port)}
    if not settings.address:
        # The lab would only say so after a while, somewhere in Ray's logs.
        with own(config.data, config.address):
            pass
    with joined(settings), services(config, lambda: _application(config, settings, environment)) as handles:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: told_to_end.set())
        version = _wait_for_version(handles)
        log.info(
            "serving",
            extra={
                "host": config.host,
                "port": config.port,
                "model_version": version,
                "data": str(config.data),
                "ray": settings.address or "its own",
                "predictors": f"{settings.smallest}-{settings.largest}",
                "metrics_port": handles[LAB].metrics_port.remote().result(timeout_s=START_S),
            },
        )
        told_to_end.wait()
        log.info("draining", extra={"grace_s": config.shutdown_grace_s})
        for handle in handles.values():
            with contextlib.suppress(Exception):
                handle.broadcast("drain").results(timeout_s=config.shutdown_grace_s)
    log.info("stopped")


def _application(config: Config, settings: ClusterSettings, environment: Mapping[str, str]) -> Any:
    # Only with Ray: before it runs, what it is made of may not be imported.
    from server.cluster.deployments import build

    return build(environment, settings, config.shutdown_grace_s)


@contextlib.contextmanager
def services(config: Config, make: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """The application that `make` gives, on Ray Serve; its handles by their names. Raises CannotStart."""
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions, gRPCOptions
    from ray.serve.schema import LoggingConfig

    from server.cluster.routes import LAB, PREDICTORS
    from server.cluster.targets import APPLICATION

    logging_config = LoggingConfig(log_level="WARNING", enable_access_log=False)
    options: dict[str, Any] = {
        "proxy_location": "EveryNode",
        # Nothing is served by HTTP, but a proxy cannot go without a port for it.
        "http_options": HTTPOptions(host="127.0.0.1", port=_any_port("127.0.0.1")),
        "grpc_options": gRPCOptions(
            port=config.port,
            grpc_servicer_functions=[INGRESS_ON_LOOPBACK if is_loopback(config.host) else INGRESS],
            enable_reflection=False,
        ),
        "logging_config": logging_config,
    }
    try:
        _start(lambda: ray_serve.start(**options))
        try:
            ray_serve.run(
                make(),
                name=APPLICATION,
                route_prefix=None,
                logging_config=logging_config,
            )
        except RuntimeError as error:
            raise CannotStart(_why(error)) from None
        _wait_for_proxies(ray_serve)
        yield {
            name: ray_serve.get_deployment_handle(name, APPLICATION, _check_exists=False)
            for name in (LAB, PREDICTORS)
        }
    finally:
        # First what answers, then the proxies: what is under way comes to its end.
        with contextlib.suppress(Exception):
            ray_serve.delete(APPLICATION)
        # Of Serve itself, when nobody else has applications there.
        if not ray_serve.status().applications:
            ray_serve.shutdown()  # type: ignore[no-untyped-call]


def _start(start: Callable[[], None]) -> None:
    """Start Serve, or join one that has begun to. Raises CannotStart when no proxy comes to life."""
    from ray.exceptions import RayActorError

    deadline = time.monotonic() + START_S
    while True:
        try:
            return start()
        # A proxy that was too slow to begin has been given up, and Serve begins another one.
        except (RayActorError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"the ingress does not start on Ray ({str(error).splitlines()[0]})"
                ) from None
            log.warning("ingress begun again", extra={"reason": str(error).splitlines()[0]})
            time.sleep(LOOK_EVERY_S)


def _why(error: RuntimeError) -> str:
    """What keeps the services from starting, in a line."""
    from ray import serve as ray_serve

    from server.cluster.targets import APPLICATION

    told = ray_serve.status().applications.get(APPLICATION)
    messages = [] if told is None else [one.message for one in told.deployments.values()]
    lines = [line for message in messages for line in message.splitlines() if "CannotStart" in line]
    if lines:
        return lines[-1].partition(": ")[2]
    return f"the services do not start on Ray ({str(error).splitlines()[0]}); its folder of logs tells more"


def _wait_for_proxies(ray_serve: Any) -> None:
    """Raises CannotStart when the port is not served within a while."""
    deadline = time.monotonic() + START_S
    while True:
        proxies = ray_serve.status().proxies
        if proxies and all(str(state.value) == "HEALTHY" for state in proxies.values()):
            return
        if time.monotonic() > deadline:
            raise CannotStart("the ingress does not start on Ray; its folder of logs tells more")
        time.sleep(LOOK_EVERY_S)


def _wait_for_version(handles: Mapping[str, Any]) -> int | None:
    """The version that the lab answers with, once the predictors answer with it too."""
    from server.cluster.routes import LAB, PREDICTORS

    version: int | None = handles[LAB].deployed.remote().result(timeout_s=START_S)
    deadline = time.monotonic() + START_S
    while version is not None and time.monotonic() < deadline:
        if set(handles[PREDICTORS].broadcast("deployed").results(timeout_s=START_S)) == {version}:
            break
        time.sleep(LOOK_EVERY_S)
    return version


def _free_port(config: Config) -> int:
    """The port to serve on, 0 meaning any. Raises InvalidSetting when it is taken."""
    if not config.port:
        return _any_port(config.host)
    try:
        with socket.create_server((config.host, config.port), reuse_port=False):
            return config.port
    except OSError:
        raise InvalidSetting(
            f"DIGITS_HOST, DIGITS_PORT: cannot listen on {config.address}; "
            "is another server running there? Set DIGITS_PORT to a free port"
        ) from None


def _any_port(host: str) -> int:
    with socket.create_server((host, 0)) as free:
        return int(free.getsockname()[1])
