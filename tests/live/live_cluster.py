"""The services on Ray, met as a real server is: two nodes on this machine, `python -m server.cluster`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
from live_server import LiveServer

# Both of the file of tokens that the cluster is given.
PREDICT_TOKEN, TRAIN_TOKEN = "0123456789abcdef", "fedcba9876543210"
# Of two messages of 64 MiB, a few times.
OBJECT_STORE_BYTES = 512 * 2**20
ATTEMPTS = 3


def patiently(begin: Callable[[], None], clear: Callable[[], object]) -> None:
    """Have Ray's processes begun, again after `clear` when they did not, which is printed.

    It has been seen once that a node did not come to life within Ray's 30 seconds and left no log; why is not
    known.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return begin()
        except Exception as error:
            print(f"Ray's nodes did not start, attempt {attempt} of {ATTEMPTS}: {error!r}")
        clear()
    return begin()


class RayNodes:
    """A Ray of two nodes with `cpus` logical processors each, from `start` to `close`."""

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._cluster: Any = None
        self._worker: Any = None

    def start(self) -> None:
        """Start both nodes."""
        from server.cluster.connection import RAYS_OWN_SETTINGS

        # The processes of the nodes have their environment from this one.
        os.environ.update(RAYS_OWN_SETTINGS)
        patiently(self._begin, self.close)

    def _begin(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self._add(include_dashboard=False)
        self.add_worker()

    def add_worker(self) -> None:
        """Add the second node, as a machine that comes back."""
        self._worker = self._add()

    def kill_worker(self) -> None:
        """End the second node with everything on it, as a machine that loses its power."""
        self._cluster.remove_node(self._worker, allow_graceful=False)

    def _add(self, **options: Any) -> Any:
        return self._cluster.add_node(num_cpus=self._cpus, object_store_memory=OBJECT_STORE_BYTES, **options)

    @property
    def address(self) -> str:
        """What `DIGITS_RAY_ADDRESS` is set to."""
        return str(self._cluster.address)

    def processes(self, title: str) -> list[psutil.Process]:
        """Those that Ray has started on these nodes, by a part of their titles."""
        found = []
        for node in self._cluster.list_all_nodes():
            for raylet in node.all_processes["raylet"]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    for process in psutil.Process(raylet.process.pid).children():
                        with contextlib.suppress(psutil.NoSuchProcess):
                            if title in " ".join(process.cmdline()):
                                found.append(process)
        return found

    def close(self) -> None:
        """End both, and everything on them."""
        if self._cluster is not None:
            self._cluster.shutdown()


class _Shows(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Shows a token with every call that shows none."""

    def __init__(self, token: str) -> None:
        self._token = ("authorization", f"Bearer {token}")

    def _call(self, call: Any, details: Any, request: Any) -> Any:
        shown = tuple(details.metadata or ())
        if not any(key == self._token[0] for key, _ in shown):
            details = details._replace(metadata=(*shown, self._token))
        return call(details, request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call


class LiveCluster(LiveServer):
    """A `python -m server.cluster` on such nodes. They carry one at a time."""

    MODULE = "server.cluster"
    token = TRAIN_TOKEN

    def __init__(self, nodes: RayNodes, data: Path, log: Path, **settings: str) -> None:
        self.nodes = nodes
        # No node is so large: what is tested here trains nothing, only waits to.
        too_many = {"DIGITS_RAY_TRAINING_CPUS": "64"}
        tokens = data.with_suffix(".tokens")
        tokens.touch(mode=0o600)
        tokens.write_text(f"predict {PREDICT_TOKEN}\ntrain {TRAIN_TOKEN}\n")
        given = {"DIGITS_RAY_ADDRESS": nodes.address, "DIGITS_TOKENS_FILE": str(tokens)}
        super().__init__(data, log, **given | too_many | settings)

    def channel(self) -> grpc.Channel:
        """A new channel to it, of somebody who may do everything."""
        return grpc.intercept_channel(super().channel(), _Shows(self.token))

    def predictors(self) -> list[psutil.Process]:
        """The processes that answer predictions."""
        return self.nodes.processes("ServeReplica:digits:Predictors")

    def lab(self) -> psutil.Process:
        """The process that owns the data. Raises ValueError when there is none, or another one already."""
        [process] = self.nodes.processes("ServeReplica:digits:Lab")
        return process

    def stop(self, timeout_s: float = 120.0) -> int:
        """End it with SIGTERM; returns its exit code."""
        return super().stop(timeout_s)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The ingress stands still, and goes on."""
        proxies = self.nodes.processes("ProxyActor")
        assert proxies
        for proxy in proxies:
            proxy.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for proxy in proxies:
                proxy.send_signal(signal.SIGCONT)
