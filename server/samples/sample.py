"""A drawing and the digit that a person says it is."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

SIDE = 28
# Of the pixels' hash: 64 bits, so that two drawings that differ never share it by chance.
HASH_DIGITS = 16
# Drawn anew for each sample: the same drawing may be kept twice, as an 1 and as a 7.
OWN_DIGITS = 8
# One in so many samples is kept aside.
ASIDE_ONE_IN = 5


class SampleSource(StrEnum):
    """Where a sample came from."""

    DRAWN = "drawn"
    IMPORTED = "imported"


class SampleUse(StrEnum):
    """What a sample is used for."""

    TRAINING = "training"
    HELD_OUT = "held_out"
    """Kept aside to measure versions; never trained on."""
    EXCLUDED = "excluded"
    """Equal to a digit that measures or chooses versions: never trained on, and measures nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NewSample:
    """What there is to know of a drawing before it is kept."""

    label: int
    drawing: bytes
    """A PNG, JPEG, WebP or BMP file."""
    pixels: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background: the drawing as a model sees it."""
    fingerprints: tuple[str, ...]
    """Of every form of it that may equal a test digit (`server.samples.fingerprints`), its pixels' first."""
    predicted_digit: int
    confidence: float
    model_version: int
    source: SampleSource


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """A sample that is kept."""

    sample_id: str
    """24 hexadecimal digits. Equal drawings have ids that begin alike: see `drawing_of`."""
    label: int
    pixels: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    predicted_digit: int
    """What `model_version` read in it, with the probability `confidence`."""
    confidence: float
    model_version: int
    created: datetime
    updated: datetime | None
    """When its label was changed; None when it never was."""
    source: SampleSource
    use: SampleUse
    drawing: bytes | None = None
    """The file as it was sent; None when it was not asked for."""


@dataclass(frozen=True, kw_only=True)
class SampleFilter:
    """Which samples are meant; None does not filter."""

    label: int | None = None
    predicted_digit: int | None = None
    is_misread: bool | None = None
    source: SampleSource | None = None
    use: SampleUse | None = None


ALL = SampleFilter()


def fingerprint(pixels: npt.NDArray[np.uint8]) -> str:
    """The SHA-256 of a (28, 28) uint8 image's 784 bytes, in hexadecimal: the same for equal images only."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def new_id(pixels_fingerprint: str) -> str:
    """An id that nobody has, and that tells which drawing it is of."""
    return pixels_fingerprint[:HASH_DIGITS] + secrets.token_hex(OWN_DIGITS // 2)


def drawing_of(sample_id: str) -> str:
    """What the ids of equal drawings share.

    A version that was trained on a drawing knows it by heart, also when the sample was deleted and the
    drawing was added anew. So what a version was trained on is compared by this, not by whole ids.
    """
    return sample_id[:HASH_DIGITS]


def is_aside(pixels_fingerprint: str) -> bool:
    """Whether a drawing belongs to the one in five that are kept aside once there are enough.

    It follows from the pixels alone: equal drawings are never on both sides, whenever they are added.
    """
    return int(pixels_fingerprint[-8:], 16) % ASIDE_ONE_IN == 0


def drawings_of(sample_ids: Iterable[str]) -> frozenset[str]:
    """The drawings that these samples are of; see `drawing_of`."""
    return frozenset(map(drawing_of, sample_ids))
