"""What every part of the torture needs: servers of its own, and what their logs and /proc tell of them."""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

# By name: there is no `__init__.py` under tests/.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "live"))
from live_server import LiveServer

ROOT = Path(__file__).resolve().parents[2]
# For whatever comes about sooner or later, on a machine that others use too.
PATIENCE_S = 120.0
# What Python prints for an exception that nobody caught, and the interpreter when it is itself at fault.
CRASHED = re.compile(
    r"^(Traceback |Fatal Python error|Exception ignored|Segmentation fault|.*terminate called)"
)

__all__ = [
    "PATIENCE_S",
    "ROOT",
    "LiveServer",
    "TortureServer",
    "Usage",
    "chosen_seed",
    "running",
    "say",
    "usage_of",
    "wait_until",
]


@dataclass(frozen=True)
class Usage:
    """What a process holds at one moment, its children apart."""

    rss_mb: float
    threads: int
    handles: int
    """Open files, sockets and pipes."""


class TortureServer(LiveServer):
    """A server with its data in `folder`/data and its log beside it; `data` for one that shares another's.

    `TortureServer(folder, "--read-only", data=other.data)` is a replica of another one.
    """

    def __init__(self, folder: Path, *arguments: str, data: Path | None = None, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = "replica" if "--read-only" in arguments else "server"
        super().__init__(data or folder / "data", folder / f"{name}.log", *arguments, **settings)

    def usage(self) -> Usage:
        """What it holds now."""
        return usage_of(self.pid)

    def children(self) -> list[psutil.Process]:
        """The programs that it has started and that still run."""
        return psutil.Process(self.pid).children(recursive=True)

    def trainer(self) -> psutil.Process | None:
        """The training child, when there is one."""
        for process in self.children():
            try:
                if "server.trainer" in process.cmdline():
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def faults(self, start: int = 0) -> list[str]:
        """The lines of its log, from byte `start` on, that tell of a bug or a crash.

        Those are events of level `error` and above, events with a traceback, and whatever Python or a library
        cries in lines of their own.
        """
        with self.log.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        events = self.events(start)
        cried = [line for line in lines if CRASHED.match(line)]
        told = [
            f"{event}"
            for event in events
            if event.get("level") in ("error", "critical") or "traceback" in event
        ]
        return cried + told

    @property
    def written(self) -> int:
        """How long its log is, in bytes: where what comes from now on begins."""
        return self.log.stat().st_size if self.log.exists() else 0


def usage_of(pid: int) -> Usage:
    """What a process holds now. Raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    return Usage(process.memory_info().rss / 2**20, process.num_threads(), process.num_fds())


@contextmanager
def running(*servers: TortureServer) -> Iterator[None]:
    """The servers, started one after the other; ended, however they are doing, with the block."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in reversed(servers):
            server.close()


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """What `condition` gives once that is true of anything. Raises AssertionError, naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not after {timeout_s:.0f} s: {what}"
        time.sleep(0.05)
    return found


def chosen_seed() -> int:
    """The seed of this run, which is told: that of the environment's TORTURE_SEED, else a new one."""
    seed = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(2**31))
    say(f"TORTURE_SEED={seed}")
    return seed


def say(what: str, findings: Sequence[str] = ()) -> None:
    """Tell how far it is; and each finding, with enough to repeat it, on a line of its own."""
    print(f"… {what}", flush=True)
    for finding in findings:
        print(f"    {finding}", flush=True)
