"""People's own labelled drawings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digits.client.choices import SampleSource, SampleUse
from digits.client.records.dataset import Pixels


@dataclass(frozen=True, eq=False)
class Sample:
    """A drawing, what it is, and what `model_version` read in it.

    `drawing` is the file that was sent, empty unless it was asked for; `pixels` is the normalised drawing;
    `update_time` is None when the label was never changed.
    """

    sample_id: str
    label: int
    drawing: bytes
    pixels: Pixels
    predicted_digit: int
    confidence: float
    model_version: int
    create_time: datetime
    update_time: datetime | None
    source: SampleSource
    use: SampleUse

    @property
    def is_misread(self) -> bool:
        """Whether the version read another digit than it is."""
        return self.predicted_digit != self.label


@dataclass(frozen=True)
class SampleFilter:
    """Which samples are meant. What is not set does not filter."""

    label: int | None = None
    predicted_digit: int | None = None
    is_misread: bool | None = None
    source: SampleSource = SampleSource.UNSPECIFIED
    use: SampleUse = SampleUse.UNSPECIFIED


@dataclass(frozen=True)
class Samples:
    """A page of samples, newest first. `total_size` counts all that pass the filter."""

    samples: tuple[Sample, ...]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, eq=False)
class AddedSample:
    """The sample that is kept, without its drawing, and the number of samples in all now."""

    sample: Sample
    total_size: int


@dataclass(frozen=True)
class ImportedSamples:
    """What became of an archive: samples that were added, that were here already, and in all now."""

    added: int
    known: int
    total_size: int


@dataclass(frozen=True)
class SampleAccuracy:
    """How well a version reads the samples, with the ends of the 95 % interval.

    Of `images`, `cross_validated` are samples that it was trained on: they count with the answer of a model
    that had not seen them. `left_out` were trained on and have no such answer.
    """

    model_version: int
    images: int
    correct: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    cross_validated: int
    left_out: int
