"""How a version did at the gate."""

from __future__ import annotations

from digits.client import choices, records
from digits.v1 import gate_pb2, model_pb2, sweep_pb2, training_pb2


def gate_comparison(message: gate_pb2.GateComparison) -> records.GateComparison:
    return records.GateComparison(
        data=choices.GateData(message.data),
        images=message.images,
        accuracy=message.accuracy,
        serving_accuracy=message.serving_accuracy,
        difference=message.difference,
        difference_low=message.difference_low,
        difference_high=message.difference_high,
        passed=message.passed,
    )


def gate_of(
    message: training_pb2.Training | model_pb2.Model | sweep_pb2.Sweep,
) -> records.GateReport | None:
    """The report of a run, a version or a sweep's best one, None where there is none."""
    if not message.HasField("gate"):
        return None
    return records.GateReport(
        passed=message.gate.passed,
        serving_version=message.gate.serving_version,
        comparisons=tuple(gate_comparison(comparison) for comparison in message.gate.comparisons),
        reasons=tuple(message.gate.reasons),
    )
