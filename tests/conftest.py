"""Live parts that every suite may use: real server processes with data directories of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

START_TIMEOUT_S = 60.0


class LiveServer:
    """A `python -m server` of its own: on a free port of the loopback, with its data in `data`."""

    def __init__(self, data: Path, log: Path, *arguments: str, **settings: str) -> None:
        self.data = data
        self.log = log
        self._arguments = arguments
        self.port = 0
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens; the same after a restart."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it serves. Raises AssertionError, with its log, when it does not."""
        environment = os.environ | {
            "DIGITS_DATA": str(self.data),
            "DIGITS_PORT": str(self.port),
            # Nothing is ever downloaded in a test.
            "DIGITS_MNIST_URL": "",
            **self._settings,
        }
        already_written = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", *self._arguments], env=environment, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (serving := self.event("serving", already_written)):
            assert self._process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the server does not serve:\n{self.log.read_text()}"
            time.sleep(0.02)
        self.port = int(str(serving["port"]))

    def stop(self, timeout_s: float = 30.0) -> int:
        """End it with SIGTERM; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """End it, however it is doing."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def channel(self) -> grpc.Channel:
        """A new channel to it."""
        return grpc.insecure_channel(self.address)

    def event(self, name: str, start: int = 0) -> dict[str, object] | None:
        """The first event of this name in its log, from byte `start` on; None when there is none."""
        for line in self.log.read_bytes()[start:].decode().splitlines():
            if line.startswith("{") and (event := json.loads(line))["event"] == name:
                return dict(event)
        return None


@pytest.fixture(scope="session")
def launch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LiveServer]]:
    """Start servers: `launch_server(DIGITS_…="…")`; they end with the tests.

    `launch_server("--read-only", data=other.data)` starts a replica of another one.
    """
    servers: list[LiveServer] = []

    def launch(*arguments: str, data: Path | None = None, **settings: str) -> LiveServer:
        folder = tmp_path_factory.mktemp("server")
        server = LiveServer(data or folder / "data", folder / "data.log", *arguments, **settings)
        servers.append(server)
        server.start()
        return server

    yield launch
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def live_server(launch_server: Callable[..., LiveServer]) -> LiveServer:
    """One server for all tests that only read from it, or add to it what disturbs nobody."""
    return launch_server()
