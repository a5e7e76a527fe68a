"""Many who stop a sweep at once over gRPC: while they wait, everybody else is answered."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from digits.v1 import sweep_pb2 as pb
from digits.v1 import sweep_pb2_grpc
from scripted_training import Script

from server.rpc.sweep import SweepServicer
from server.sweeps import TrialState
from server.training import Trainings

PATIENCE_S = 60.0
THREADS = 2


def test_they_hold_no_thread_that_other_calls_need(lab: Any, script: Script, monkeypatch: Any) -> None:
    is_released = threading.Event()
    cancel = Trainings.cancel

    def cancel_later(trainings: Trainings, training_id: str) -> Any:
        assert is_released.wait(PATIENCE_S)
        return cancel(trainings, training_id)

    # As a trial takes its time that waits to be put in place.
    monkeypatch.setattr(Trainings, "cancel", cancel_later)
    script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is TrialState.RUNNING)

    async def stop_and_look() -> list[pb.StopSweepResponse]:
        loop, is_asked, asked = asyncio.get_running_loop(), asyncio.Event(), itertools.count(1)
        loop.set_default_executor(ThreadPoolExecutor(THREADS))
        begin = lab.sweeps.begin_to_stop

        def begin_and_count(sweep_id: str) -> Any:
            stopping = begin(sweep_id)
            if next(asked) == 2 * THREADS:
                loop.call_soon_threadsafe(is_asked.set)
            return stopping

        monkeypatch.setattr(lab.sweeps, "begin_to_stop", begin_and_count)
        server = grpc.aio.server()
        sweep_pb2_grpc.add_SweepServiceServicer_to_server(SweepServicer(lab.sweeps), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = sweep_pb2_grpc.SweepServiceStub(channel)
            request = pb.StopSweepRequest(sweep_id=started.sweep_id)
            stops = [asyncio.ensure_future(stub.StopSweep(request)) for _ in range(2 * THREADS)]
            await asyncio.wait_for(is_asked.wait(), PATIENCE_S)
            # One who goes away takes nothing from the others.
            stops.pop().cancel()
            looked = await stub.GetSweep(pb.GetSweepRequest(sweep_id=started.sweep_id), timeout=PATIENCE_S)
            assert looked.sweep.state == pb.SWEEP_STATE_RUNNING
            is_released.set()
            answers = await asyncio.wait_for(asyncio.gather(*stops), PATIENCE_S)
        await server.stop(None)
        return list(answers)

    try:
        answers = asyncio.run(stop_and_look())
    finally:
        is_released.set()
    assert {answer.sweep.state for answer in answers} == {pb.SWEEP_STATE_STOPPED}
