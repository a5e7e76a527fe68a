"""A real server process, as tests and torture meet it: started, stopped, killed, heard through its log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

START_TIMEOUT_S = 180.0


class LiveServer:
    """A `python -m server` of its own: on a free port of the loopback, with its data in `data`."""

    MODULE = "server"
    token = ""
    """What its callers have to show; nothing, as a rule."""

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

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it serves. Raises AssertionError, with its log, when it does not."""
        already_written = self.log.stat().st_size if self.log.exists() else 0
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (serving := self.event("serving", already_written)):
            assert self._process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the server does not serve:\n{self.log.read_text()}"
            time.sleep(0.02)
        self.port = int(str(serving["port"]))

    def launch(self) -> None:
        """Start its process, and wait for nothing."""
        environment = os.environ | {
            "DIGITS_DATA": str(self.data),
            "DIGITS_PORT": str(self.port),
            # Nothing is ever downloaded in a test.
            "DIGITS_MNIST_URL": "",
            **self._settings,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.MODULE, *self._arguments], env=environment, stderr=log
            )

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

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still, as on a machine with no time for it, and goes on."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, however it is doing."""
        if self.is_running:
            self.kill()

    def channel(self) -> grpc.Channel:
        """A new channel to it."""
        return grpc.insecure_channel(self.address)

    def event(self, name: str, start: int = 0) -> dict[str, object] | None:
        """The first event of this name in its log, from byte `start` on; None when there is none."""
        return next((event for event in self.events(start) if event["event"] == name), None)

    def events(self, start: int = 0) -> list[dict[str, object]]:
        """All events in its log, from byte `start` on. A line that a kill cut short is none."""
        with self.log.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        found: list[dict[str, object]] = []
        for line in lines:
            with contextlib.suppress(ValueError):
                if isinstance(event := json.loads(line), dict):
                    found.append(event)
        return found
