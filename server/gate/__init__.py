"""The gate: what decides whether a new version is deployed by itself, or stays a candidate."""

from server.gate.gate import Gate
from server.gate.report import GateComparison, GateData, GateReport

__all__ = ["Gate", "GateComparison", "GateData", "GateReport"]
