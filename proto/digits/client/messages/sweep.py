"""Sweeps, their trials and their ranges."""

from __future__ import annotations

from digits.client import choices, records
from digits.client.messages.fields import create_time, optional, time
from digits.client.messages.gate import gate_of
from digits.client.messages.training import training_options
from digits.v1 import sweep_pb2


def sweep_range(message: sweep_pb2.SweepRange) -> records.SweepRange:
    return records.SweepRange(
        option=message.option,
        min=optional(message, "min"),
        max=optional(message, "max"),
        logarithmic=message.logarithmic,
        values=tuple(message.values),
    )


def to_sweep_range(tried: records.SweepRange) -> sweep_pb2.SweepRange:
    return sweep_pb2.SweepRange(
        option=tried.option,
        min=tried.min,
        max=tried.max,
        logarithmic=tried.logarithmic,
        values=tried.values,
    )


def trial(message: sweep_pb2.Trial) -> records.Trial:
    return records.Trial(
        number=message.number,
        state=choices.TrialState(message.state),
        training_id=message.training_id,
        options=training_options(message.options),
        epochs=message.epochs,
        validation_accuracy=optional(message, "validation_accuracy"),
        model_version=message.model_version,
        failure_reason=message.failure_reason,
        duration_s=message.duration_s,
    )


def sweep(message: sweep_pb2.Sweep) -> records.Sweep:
    return records.Sweep(
        sweep_id=message.sweep_id,
        recipe=message.recipe,
        options=training_options(message.options),
        ranges=tuple(sweep_range(each) for each in message.ranges),
        state=choices.SweepState(message.state),
        trials=tuple(trial(each) for each in message.trials),
        best_trial=message.best_trial,
        ends_early=message.ends_early,
        deploy_when_done=message.deploy_when_done,
        create_time=create_time(message),
        end_time=time(message, "end_time"),
        failure_reason=message.failure_reason,
        gate=gate_of(message),
        at_once=message.at_once,
    )


def sweeps(message: sweep_pb2.ListSweepsResponse) -> records.Sweeps:
    return records.Sweeps(
        tuple(sweep(each) for each in message.sweeps), message.next_page_token, message.total_size
    )
