"""Gate reports, from domain to proto."""

from __future__ import annotations

from collections.abc import Mapping

from digits.v1 import gate_pb2 as pb

from server.gate import GateComparison, GateData, GateReport

DATA: Mapping[GateData, int] = {
    GateData.VALIDATION: pb.GATE_DATA_VALIDATION,
    GateData.SAMPLES: pb.GATE_DATA_SAMPLES,
}


def gate(report: GateReport | None) -> pb.GateReport | None:
    """A report, or None for a version that was never at the gate."""
    if report is None:
        return None
    return pb.GateReport(
        passed=report.passed,
        serving_version=report.serving_version or 0,
        comparisons=[_comparison(comparison) for comparison in report.comparisons],
        reasons=report.reasons,
    )


def _comparison(comparison: GateComparison) -> pb.GateComparison:
    return pb.GateComparison(
        data=DATA[comparison.data],  # type: ignore[arg-type]
        images=comparison.images,
        accuracy=comparison.accuracy,
        serving_accuracy=comparison.serving_accuracy,
        difference=comparison.difference,
        difference_low=comparison.difference_low,
        difference_high=comparison.difference_high,
        passed=comparison.passed,
    )
