"""SweepService: starts, shows, lists and stops sweeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from digits.v1 import sweep_pb2 as pb
from digits.v1 import sweep_pb2_grpc

from server.rpc.convert import sweep as convert
from server.rpc.convert.common import retry_id
from server.rpc.convert.training import overrides
from server.rpc.interceptors import Context
from server.rpc.paging import read_page
from server.sweeps import Sweep, Sweeps


class SweepServicer(sweep_pb2_grpc.SweepServiceServicer):
    """Tries options."""

    def __init__(self, sweeps: Sweeps) -> None:
        self._sweeps = sweeps

    async def StartSweep(self, request: pb.StartSweepRequest, context: Context) -> pb.StartSweepResponse:
        """Start a sweep."""
        start = partial(
            self._sweeps.start,
            request.recipe,
            overrides(request.options),
            [convert.sweep_range(tried) for tried in request.ranges],
            trials=request.trials or None,
            ends_early=not request.keep_all,
            deploy_when_done=request.deploy_when_done,
            request_id=retry_id(request.request_id),
        )
        return pb.StartSweepResponse(sweep=await self._shown(start))

    async def GetSweep(self, request: pb.GetSweepRequest, context: Context) -> pb.GetSweepResponse:
        """Show one sweep."""
        return pb.GetSweepResponse(sweep=await self._shown(partial(self._sweeps.get, request.sweep_id)))

    async def ListSweeps(self, request: pb.ListSweepsRequest, context: Context) -> pb.ListSweepsResponse:
        """Show the sweeps, newest first."""
        page = read_page(request, default=20, maximum=100)
        sweeps, total = await asyncio.to_thread(self._sweeps.list, page.offset, page.limit)
        at_once = await asyncio.to_thread(self._at_once)
        return pb.ListSweepsResponse(
            sweeps=[convert.sweep(sweep, at_once) for sweep in sweeps],
            next_page_token=page.next_token(total),
            total_size=total,
        )

    async def StopSweep(self, request: pb.StopSweepRequest, context: Context) -> pb.StopSweepResponse:
        """End a sweep."""
        # As long as it takes, and without a thread: those of the pool are for the calls that work.
        await asyncio.wrap_future(await asyncio.to_thread(self._sweeps.begin_to_stop, request.sweep_id))
        return pb.StopSweepResponse(sweep=await self._shown(partial(self._sweeps.stopped, request.sweep_id)))

    async def _shown(self, get: Callable[[], Sweep]) -> pb.Sweep:
        return convert.sweep(await asyncio.to_thread(get), await asyncio.to_thread(self._at_once))

    def _at_once(self) -> int:
        # On a cluster somebody else has to be asked.
        return self._sweeps.at_once
