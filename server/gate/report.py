"""What the gate found: two versions on the very same images, and why one of them may or may not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class GateData(StrEnum):
    """What a comparison was measured on."""

    VALIDATION = "validation"
    """MNIST digits that chose the new version's best epoch, and that neither version was trained on."""
    SAMPLES = "samples"
    """People's own labelled drawings."""


@dataclass(frozen=True)
class GateComparison:
    """The new version and the serving one on the very same images."""

    data: GateData
    images: int
    """0: there are none that both can honestly be measured on; every figure below is 0 then."""
    accuracy: float
    """Share that the new version reads correctly, in [0, 1]."""
    serving_accuracy: float
    """Share that the serving version reads correctly, in [0, 1]."""
    difference: float
    """`accuracy` less `serving_accuracy`, in [-1, 1]."""
    difference_low: float
    """Lower end of the 95 % interval of `difference`, paired image by image."""
    difference_high: float
    """Upper end of that interval."""
    passed: bool
    """Whether this comparison lets the new version through."""


@dataclass(frozen=True)
class GateReport:
    """Why a new version was deployed by itself, or stayed a candidate."""

    passed: bool
    """Whether it passed every comparison."""
    serving_version: int | None
    """The version that served when it was measured; None: none did, and the new one passes."""
    comparisons: tuple[GateComparison, ...]
    """Those that were made."""
    reasons: tuple[str, ...]
    """Why it did not pass: sentences for a person. Empty when it passed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that `json` can write; `from_json` reads them back."""
        return {
            "passed": self.passed,
            "serving_version": self.serving_version,
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GateReport:
        """The report that `to_json` gave. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            passed=values["passed"],
            serving_version=values["serving_version"],
            comparisons=tuple(
                GateComparison(**{**comparison, "data": GateData(comparison["data"])})
                for comparison in values["comparisons"]
            ),
            reasons=tuple(values["reasons"]),
        )
