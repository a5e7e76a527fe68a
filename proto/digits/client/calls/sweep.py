"""SweepService: many trainings with different options, and the best of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from digits.client import records
from digits.client.call import Kind, Rpc, Terms, Unary, read, unary
from digits.client.messages import sweep as messages
from digits.client.messages.training import to_training_options
from digits.v1 import sweep_pb2 as pb

START_SWEEP = Rpc("SweepService/StartSweep", pb.StartSweepResponse)
GET_SWEEP = Rpc("SweepService/GetSweep", pb.GetSweepResponse)
LIST_SWEEPS = Rpc("SweepService/ListSweeps", pb.ListSweepsResponse)
STOP_SWEEP = Rpc("SweepService/StopSweep", pb.StopSweepResponse)


def start_sweep(
    recipe: str,
    ranges: Sequence[records.SweepRange],
    options: records.TrainingOptions | None = None,
    *,
    trials: int = 10,
    keep_all: bool = False,
    deploy_when_done: bool = False,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Unary[records.Sweep]:
    """Start a sweep over these ranges. The same request_id gives the same sweep again.

    `options` are the same in all trials; `keep_all`: train all to the end, also those that fall behind.
    """
    request = pb.StartSweepRequest(
        recipe=recipe,
        options=to_training_options(options or records.TrainingOptions()),
        ranges=[messages.to_sweep_range(each) for each in ranges],
        trials=trials,
        keep_all=keep_all,
        deploy_when_done=deploy_when_done,
        request_id=request_id or uuid.uuid4().hex,
    )
    return unary(START_SWEEP, request, _sweep, Terms(Kind.CHANGE, timeout_s, is_repeatable=True))


def get_sweep(sweep_id: str, timeout_s: float | None = None) -> Unary[records.Sweep]:
    """One sweep as it stands now, with all its trials."""
    return read(GET_SWEEP, pb.GetSweepRequest(sweep_id=sweep_id), _sweep, timeout_s)


def list_sweeps(
    page_size: int = 20, page_token: str = "", timeout_s: float | None = None
) -> Unary[records.Sweeps]:
    """The sweeps with their trials, newest first."""
    request = pb.ListSweepsRequest(page_size=page_size, page_token=page_token)
    return read(LIST_SWEEPS, request, messages.sweeps, timeout_s)


def stop_sweep(sweep_id: str, timeout_s: float | None = None) -> Unary[records.Sweep]:
    """End a sweep; the best trial that finished stays the best."""
    request = pb.StopSweepRequest(sweep_id=sweep_id)
    return unary(STOP_SWEEP, request, _sweep, Terms(Kind.CHANGE, timeout_s))


def _sweep(response: pb.StartSweepResponse | pb.GetSweepResponse | pb.StopSweepResponse) -> records.Sweep:
    return messages.sweep(response.sweep)
