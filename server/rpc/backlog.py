"""How many calls have come in and are not answered, those included that no handler has seen yet.

An asyncio server takes up one call at a time; what comes meanwhile waits inside gRPC, where only channelz,
gRPC's own statistics, counts it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

# What the package grpcio-channelz calls as well; its messages are not needed here.
from grpc._cython import cygrpc

# For the server's options.
CHANNELZ = ("grpc.enable_channelz", 1)


# Without a call for so long, on a loop that is not late itself, nobody waits.
IDLE_S = 0.02
LATE_S = 0.005


class Backlog:
    """The calls of this process's servers. Use it on their event loop."""

    def __init__(self) -> None:
        self.streams = 0
        """Streams that are open: they may stay so for long, and wait for nothing."""
        self.unary = 0
        """Other calls that are in their handlers."""
        self.unread = 0
        """Calls that have not sent their request: they are not waited for."""
        self.beside: Callable[[], int] = lambda: 0
        """Counts calls that are answered without ever being taken up here."""
        self.unread_beside: Callable[[], int] = lambda: 0
        """Those of them that have not sent their request."""
        self._lost = 0
        self._taken_up = 0
        self._is_watching = False

    def take_up(self) -> None:
        """Note that a call has come out of gRPC."""
        self._taken_up += 1
        if not self._is_watching:
            self._is_watching = True
            self._watch()

    def waiting(self) -> int:
        """Calls that wait for their answer or are being answered; takes 0.3 ms."""
        started, ended = _calls()
        unread = self.unread + self.unread_beside()
        return max(0, started - ended - self.streams - self._lost - unread)

    def answered(self) -> int:
        """Calls that have ended, however they did, as far as gRPC counts them."""
        return _calls()[1]

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due, taken_up = loop.time() + IDLE_S, self._taken_up
        loop.call_at(due, self._look, due, taken_up)

    def _look(self, due: float, taken_up: int) -> None:
        """In a pause, see what was lost: gRPC never counts calls as ended that end before their handler."""
        is_late = asyncio.get_running_loop().time() - due > LATE_S
        if is_late or taken_up != self._taken_up:
            self._watch()
            return
        started, ended = _calls()
        self._lost = started - ended - self.streams - self.unary - self.unread - self.beside()
        self._is_watching = False


def _calls() -> tuple[int, int]:
    """How many have started, and how many have ended."""
    servers = json.loads(cygrpc.channelz_get_servers(0)).get("server", [])
    # Numbers of 64 bits are text in protobuf's JSON, and zero is left out.
    started, succeeded, failed = (
        sum(int(server.get("data", {}).get(name, 0)) for server in servers)
        for name in ("callsStarted", "callsSucceeded", "callsFailed")
    )
    return started, succeeded + failed
