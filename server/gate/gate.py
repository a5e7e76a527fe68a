"""Holds a new version against the serving one, on the very same images, and says who reads better."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from server.database import is_away
from server.datasets import DATASET_PARTITIONS, Data, DataPreparation, Digits, Partition
from server.errors import DigitsError
from server.gate.paired import paired_interval
from server.gate.report import GateComparison, GateData, GateReport
from server.inference import Engine
from server.models import ModelStore, ModelVersion
from server.samples import Samples, SampleSet

log = logging.getLogger(__name__)

# Images read at a time: more gain nothing.
CHUNK = 64

Right = npt.NDArray[np.bool_]
# A comparison, and the reason why it does not let the new version through; empty when it does.
Finding = tuple[GateComparison, str]


class Gate:
    """Judges versions by their artifacts, which are what would serve. May be used from any thread."""

    def __init__(self, store: ModelStore, data: DataPreparation, samples: Samples) -> None:
        self._store = store
        self._data = data
        self._samples = samples

    def judge(self, candidate: ModelVersion, serving: int | None) -> GateReport:
        """Whether `candidate` may take the place of the version `serving`; takes seconds.

        It passes when no version serves. Otherwise it must not be worse on validation digits beyond the
        noise, that is the 95 % interval of the paired difference must not lie below 0 as a whole; and it must
        read at least as many of people's own samples correctly, if there are any. Where nothing can honestly
        be measured it does not pass; nor after a fault, and the report tells why. Raises what a database
        does that is away: it will be back.
        """
        if serving is None:
            return GateReport(passed=True, serving_version=None, comparisons=(), reasons=())
        try:
            return self._compare(candidate, self._store.get(serving))
        except DigitsError as error:
            reason = error.message
        except Exception as error:
            if is_away(error):
                raise
            log.exception("gate not measured", extra={"model_version": candidate.version})
            reason = f"{type(error).__name__}: {error}"
        return GateReport(
            passed=False,
            serving_version=serving,
            comparisons=(),
            reasons=(f"It could not be compared with version {serving}: {reason.rstrip('.')}.",),
        )

    def _compare(self, candidate: ModelVersion, serving: ModelVersion) -> GateReport:
        findings = [self._on_validation(candidate, serving)]
        if len(samples := self._samples.measurable()):
            findings.append(self._on_samples(candidate.version, serving.version, samples))
        report = GateReport(
            passed=all(finding.passed for finding, _ in findings),
            serving_version=serving.version,
            comparisons=tuple(finding for finding, _ in findings),
            reasons=tuple(reason for _, reason in findings if reason),
        )
        extra = {"model_version": candidate.version, "serving": serving.version, "passed": report.passed}
        log.info("gate", extra=extra)
        return report

    def _on_validation(self, candidate: ModelVersion, serving: ModelVersion) -> Finding:
        partitions = common_validation(candidate, serving)
        if not partitions:
            return _nothing(GateData.VALIDATION), _why_nothing(candidate, serving)
        digits = _together(self._data.data(), partitions)
        comparison = compare_validation(
            self._right(candidate.version, digits), self._right(serving.version, digits)
        )
        if comparison.passed:
            return comparison, ""
        return comparison, (
            f"It reads fewer of the {comparison.images:,} validation digits correctly than version "
            f"{serving.version}, which answered then: {_percent(comparison.accuracy)} against "
            f"{_percent(comparison.serving_accuracy)}. Chance does not explain that: the 95\xa0% interval of "
            f"the difference is {_points(comparison)}."
        )

    def _on_samples(self, candidate: int, serving: int, samples: SampleSet) -> Finding:
        ours = self._samples.read_honestly(candidate, samples)
        theirs = self._samples.read_honestly(serving, samples)
        both = ours.is_measured & theirs.is_measured
        if not both.any():
            return _nothing(GateData.SAMPLES), (
                f"None of the {len(samples):,} drawings in My digits can honestly tell whether it reads "
                f"better than version {serving}, which answered then: they were learnt from."
            )
        right, serving_right = ((readings.predicted == samples.labels)[both] for readings in (ours, theirs))
        comparison = compare_samples(right, serving_right)
        if comparison.passed:
            return comparison, ""
        return comparison, (
            f"It reads fewer of the {comparison.images:,} drawings in My digits correctly than version "
            f"{serving}, which answered then: {right.sum():,} against {serving_right.sum():,}."
        )

    def _right(self, version: int, digits: Digits) -> Right:
        """Which digits a version reads correctly: (N,) bool."""
        engine = Engine(self._store.artifact_path(version))
        starts = range(0, len(digits), CHUNK)
        predicted = [
            engine.probabilities(digits.images[start : start + CHUNK]).argmax(axis=1) for start in starts
        ]
        return np.asarray(np.concatenate(predicted) == digits.labels)


def common_validation(candidate: ModelVersion, serving: ModelVersion) -> tuple[Partition, ...]:
    """The partitions that chose the candidate's best epoch, and that neither version was trained on or is
    reported on: what is test data to one of them chooses nothing.
    """
    taken = {*candidate.train_partitions, *serving.train_partitions}
    for version in (candidate, serving):
        taken.update(DATASET_PARTITIONS[version.test_dataset])
    return tuple(part for part in candidate.validation_partitions if part not in taken)


def compare_validation(right: Right, serving_right: Right) -> GateComparison:
    """Two versions on digits that stand for all others, (N,) bool each, N ≥ 1: chance has its share."""
    comparison = _compared(GateData.VALIDATION, right, serving_right)
    return replace(comparison, passed=comparison.difference_high >= 0)


def compare_samples(right: Right, serving_right: Right) -> GateComparison:
    """Two versions on people's own drawings, (N,) bool each, N ≥ 1: these very ones are what is wanted."""
    comparison = _compared(GateData.SAMPLES, right, serving_right)
    return replace(comparison, passed=comparison.difference >= 0)


def _compared(data: GateData, right: Right, serving_right: Right) -> GateComparison:
    images = len(right)
    better, worse = int((right & ~serving_right).sum()), int((~right & serving_right).sum())
    low, high = paired_interval(better, worse, images)
    return GateComparison(
        data=data,
        images=images,
        accuracy=int(right.sum()) / images,
        serving_accuracy=int(serving_right.sum()) / images,
        difference=(better - worse) / images,
        difference_low=low,
        difference_high=high,
        passed=False,
    )


def _nothing(data: GateData) -> GateComparison:
    return GateComparison(data, 0, 0.0, 0.0, 0.0, 0.0, 0.0, passed=False)


def _why_nothing(candidate: ModelVersion, serving: ModelVersion) -> str:
    if not candidate.validation_partitions:
        return (
            f"The recipe {candidate.recipe} trains on every digit there is and keeps none aside: none is "
            f"left that could honestly tell whether it reads better than version {serving.version}, which "
            "answered then."
        )
    return (
        f"Version {serving.version}, which answered then, was trained or tested on the digits that this "
        "one kept aside: none is left that could honestly tell which of the two reads better."
    )


def _together(data: Data, partitions: tuple[Partition, ...]) -> Digits:
    """The digits of several partitions, one after the other. Raises DatasetUnavailable."""
    parts = [data.partition(partition) for partition in partitions]
    return Digits(
        np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2f}\xa0%"  # The sign stays in the line of its number.


def _points(comparison: GateComparison) -> str:
    """The interval in percentage points: "−0.90 to −0.10 points"."""
    low, high = 100 * comparison.difference_low, 100 * comparison.difference_high
    return f"{low:.2f} to {high:.2f} points".replace("-", "−")
