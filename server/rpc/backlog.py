"""How many calls have come in and are not answered, those included that no handler has seen yet.

An asyncio server takes up one call at a time; what comes meanwhile waits inside gRPC, where only channelz,
gRPC's own statistics, counts it.
"""

from __future__ import annotations

import json

# What the package grpcio-channelz calls as well; its messages are not needed here.
from grpc._cython import cygrpc  # type: ignore[attr-defined]

# For the server's options.
CHANNELZ = ("grpc.enable_channelz", 1)


class Backlog:
    """The calls of this process's servers. `streams` counts those that stay open and wait for nothing."""

    def __init__(self) -> None:
        self.streams = 0

    def waiting(self) -> int:
        """Calls that wait for their answer or are being answered; takes 0.3 ms."""
        started, ended = _calls()
        return max(0, started - ended - self.streams)

    def answered(self) -> int:
        """Calls that have ended, however they did."""
        return _calls()[1]


def _calls() -> tuple[int, int]:
    """How many have started, and how many have ended."""
    servers = json.loads(cygrpc.channelz_get_servers(0)).get("server", [])
    # Numbers of 64 bits are text in protobuf's JSON, and zero is left out.
    started, succeeded, failed = (
        sum(int(server.get("data", {}).get(name, 0)) for server in servers)
        for name in ("callsStarted", "callsSucceeded", "callsFailed")
    )
    return started, succeeded + failed
