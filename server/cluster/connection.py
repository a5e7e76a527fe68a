"""Ray itself: one that runs already, or one of this program's own."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from server.cluster.settings import ClusterSettings
from server.config import CannotStart
from server.rpc.options import MAX_RECEIVED_BYTES

CONNECT_S = 10.0
# What Ray reads when it starts: for one that runs already these are its own (docs/ray.md).
RAYS_OWN_SETTINGS = {
    # Nobody is told that this runs.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(MAX_RECEIVED_BYTES),
    # Called in each proxy before it makes its server: there is no other way to its options.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "server.cluster.keep_alive.in_proxies",
    # Calls go from the ingress to their process by gRPC, at half of what Ray's objects cost. Requests that go
    # together are a little larger than the largest message.
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2 * MAX_RECEIVED_BYTES),
    # Ways between threads that a call of a millisecond need not go.
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_ENABLE_MEMORY_PROFILING": "0",
    # Ray's own 15 would leave predictors next to nothing beside any other busy program; runs that train step
    # back by themselves.
    "RAY_worker_niceness": "0",
    # On a machine with much else to do an ingress takes longer than Ray's five seconds to begin.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
}


@contextlib.contextmanager
def joined(settings: ClusterSettings) -> Iterator[None]:
    """Ray, joined or started; let go, or ended, at the end. Raises CannotStart."""
    _find(settings.address)
    given = {name: os.environ.get(name, value) for name, value in RAYS_OWN_SETTINGS.items()}
    # They are for the processes that Ray starts: handles of this one have no event loop but their own.
    os.environ["RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"] = "1"
    import ray
    import ray.serve

    os.environ.update(given)
    own: dict[str, Any] = {}
    if not settings.address:
        # Counted, not measured: predictors at their most and a run that trains have room beside each other.
        needed = settings.largest * settings.predictor_cpus + settings.training_cpus
        own = {"num_cpus": max(os.cpu_count() or 1, int(needed) + 1), "include_dashboard": False}
    try:
        ray.init(
            address=settings.address or "local",
            namespace="digits",
            log_to_driver=False,
            logging_level=logging.WARNING,
            configure_logging=False,
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if not settings.address:
            raise
        raise _not_there(settings.address, str(error).strip().splitlines()[0]) from None
    try:
        yield
    finally:
        ray.shutdown()


def _find(address: str) -> None:
    """Raises CannotStart when nobody listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise _not_there(address, str(getattr(error, "strerror", None) or error)) from None


def _not_there(address: str, why: str) -> CannotStart:
    return CannotStart(
        f"DIGITS_RAY_ADDRESS: no Ray of this version answers at {address} ({why}); is it running "
        "(`ray start --head`), or shall this be empty for a Ray of its own?"
    )
