"""How sweeps end, in words."""

from __future__ import annotations

from server.errors import SweepFinished
from server.sweeps.sweep import Sweep, SweepState, TrialState


def finished(sweep: Sweep) -> SweepFinished:
    """Why a sweep that does not run cannot be stopped."""
    past = {
        SweepState.RUNNING: "is ending",
        SweepState.SUCCEEDED: "has succeeded",
        SweepState.FAILED: "has failed",
        SweepState.STOPPED: "has been stopped",
    }
    return SweepFinished(sweep.sweep_id, past[sweep.state])


def why(sweep: Sweep) -> str:
    """Why no trial has made a version, in words."""
    failed = [trial for trial in sweep.trials if trial.state is TrialState.FAILED]
    if not failed:
        return "no trial has made a version: they were cancelled; start the sweep again"
    last = failed[-1]
    return f"no trial has made a version; the last that failed, trial {last.number}: {last.failure_reason}"
