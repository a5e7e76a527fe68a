"""Sweeps, between proto and domain."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import sweep_pb2 as pb

from server.rpc.convert.common import timestamp
from server.rpc.convert.gate import gate
from server.rpc.convert.training import options
from server.sweeps import Sweep, SweepRange, SweepState, Trial, TrialState

STATES: Mapping[SweepState, int] = {
    SweepState.RUNNING: pb.SWEEP_STATE_RUNNING,
    SweepState.SUCCEEDED: pb.SWEEP_STATE_SUCCEEDED,
    SweepState.FAILED: pb.SWEEP_STATE_FAILED,
    SweepState.STOPPED: pb.SWEEP_STATE_STOPPED,
}
TRIAL_STATES: Mapping[TrialState, int] = {
    TrialState.WAITING: pb.TRIAL_STATE_WAITING,
    TrialState.RUNNING: pb.TRIAL_STATE_RUNNING,
    TrialState.SUCCEEDED: pb.TRIAL_STATE_SUCCEEDED,
    TrialState.FELL_BEHIND: pb.TRIAL_STATE_FELL_BEHIND,
    TrialState.FAILED: pb.TRIAL_STATE_FAILED,
    TrialState.CANCELLED: pb.TRIAL_STATE_CANCELLED,
}


def sweep_range(tried: pb.SweepRange) -> SweepRange:
    """A range as it was asked for; whether it can be drawn from is the sweep's business."""
    return SweepRange(
        option=tried.option,
        min=tried.min if tried.HasField("min") else None,
        max=tried.max if tried.HasField("max") else None,
        logarithmic=tried.logarithmic,
        values=tuple(tried.values),
    )


def sweep(known: Sweep, at_once: int) -> pb.Sweep:
    """A sweep as it stands. `at_once`: how many trials may train at once."""
    best = known.best_trial
    return pb.Sweep(
        sweep_id=known.sweep_id,
        recipe=known.recipe,
        options=options(known.options),
        ranges=[_range(tried) for tried in known.ranges],
        state=STATES[known.state],  # type: ignore[arg-type]
        trials=[_trial(trial) for trial in known.trials],
        best_trial=0 if best is None else best.number,
        ends_early=known.ends_early,
        deploy_when_done=known.deploy_when_done,
        create_time=timestamp(known.created),
        end_time=timestamp(known.ended),
        failure_reason=known.failure_reason,
        gate=gate(known.gate),
        at_once=at_once,
    )


def _range(tried: SweepRange) -> pb.SweepRange:
    return pb.SweepRange(
        option=tried.option,
        min=tried.min,
        max=tried.max,
        logarithmic=tried.logarithmic,
        values=tried.values,
    )


def _trial(trial: Trial) -> pb.Trial:
    return pb.Trial(
        number=trial.number,
        state=TRIAL_STATES[trial.state],  # type: ignore[arg-type]
        training_id=trial.training_id,
        options=options(trial.options),
        epochs=trial.epochs,
        validation_accuracy=trial.validation_accuracy,
        model_version=trial.model_version or 0,
        failure_reason=trial.failure_reason,
        duration_s=trial.duration_s,
    )
