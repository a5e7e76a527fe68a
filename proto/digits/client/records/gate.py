"""How a new version did at the gate."""

from __future__ import annotations

from dataclasses import dataclass

from digits.client.choices import GateData


@dataclass(frozen=True)
class GateComparison:
    """The new version and the serving one on the same images.

    `difference` is `accuracy` less `serving_accuracy`, in [-1, 1], with the ends of its 95 % interval.
    """

    data: GateData
    images: int
    accuracy: float
    serving_accuracy: float
    difference: float
    difference_low: float
    difference_high: float
    passed: bool


@dataclass(frozen=True)
class GateReport:
    """Why a version was deployed by itself, or stayed a candidate: then `reasons` are sentences for a person.

    `serving_version` is 0 when none served.
    """

    passed: bool
    serving_version: int
    comparisons: tuple[GateComparison, ...]
    reasons: tuple[str, ...]
