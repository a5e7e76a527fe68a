"""`grpc.health.v1`, with watchers that let go of a server that goes down."""

from __future__ import annotations

import asyncio
from typing import Any

from grpc_health.v1 import health, health_pb2

from server.errors import ServiceNotFound, ShuttingDown
from server.rpc.interceptors import Context

# Time for a watcher to be sent NOT_SERVING before its stream ends.
LAST_WORD_S = 0.2


class HealthServicer(health.aio.HealthServicer):
    """The standard servicer, but its watches end when the server drains instead of holding it up."""

    def __init__(self, draining: asyncio.Event) -> None:
        super().__init__()
        self._draining = draining

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell how a service is."""
        status = self._server_status.get(request.service)  # type: ignore[attr-defined]  # The stubs lack it.
        if status is None:
            raise ServiceNotFound(request.service)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:
        """Send the state of a service at every change, until the server goes down."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        drained = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((watching, drained), return_when=asyncio.FIRST_COMPLETED)
            if not watching.done():
                await asyncio.wait((watching,), timeout=LAST_WORD_S)
        finally:
            drained.cancel()
            watching.cancel()
        if watching.done() and not watching.cancelled():
            watching.result()
        raise ShuttingDown("the server is going down; watch again when it is back", retry_after_s=2.0)
