"""What a training makes of a file of pen strokes: digits to learn from, to choose by, and to report on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from server.datasets import Digits
from server.datasets.pen_strokes import WRITERS, PenDigit, WriterGroup, of_group, read_pen_strokes
from server.errors import DatasetUnavailable
from server.metrics import wilson_interval
from server.preprocessing import normalise
from server.strokes import draw_anywhere, draw_centred

SOURCE = "Pen-Based Recognition of Handwritten Digits (E. Alpaydin, F. Alimoglu), UCI, CC BY 4.0"
# So that every training chooses by, and is judged on, the same drawings.
PLACES_SEED = 1
# Each digit is drawn so often anywhere on the canvas, where its accuracy is reported.
TEST_DRAWS = 3

# (N, 28, 28) uint8 -> (N, 10) probabilities
Read = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PenData:
    """The digits of one file, by what their writers' digits are for."""

    sha256: str
    """Of the file."""
    train: tuple[PenDigit, ...]
    validation: tuple[PenDigit, ...]
    test: tuple[PenDigit, ...]

    @classmethod
    def read(cls, path: Path) -> PenData:
        """Raises DatasetUnavailable when `path` is no file of pen strokes, or lacks one of the groups."""
        digits = read_pen_strokes(path)
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        train, validation, test = (tuple(of_group(digits, group)) for group in WriterGroup)
        if not (train and validation and test):
            raise DatasetUnavailable(
                f"DIGITS_PEN_STROKES={path}: expected digits of writers who train, who validate and who "
                f"test, got {len(train)}, {len(validation)} and {len(test)}"
            )
        return cls(checksum, train, validation, test)

    def to_choose_by(self) -> Digits:
        """Normalised drawings of the validation writers' digits, each centred and once anywhere."""
        return together(centred(self.validation), anywhere(self.validation, draws=1))

    def record(self, read: Read) -> dict[str, Any]:
        """What a version's provenance keeps: the source, who wrote for what, and how well `read` reads it."""
        return {
            "source": SOURCE,
            "sha256": self.sha256,
            "train": {"writers": list(WRITERS[WriterGroup.TRAIN]), "digits": len(self.train)},
            "validation": _measured(WriterGroup.VALIDATION, self.validation, read, draws=1),
            "test": _measured(WriterGroup.TEST, self.test, read, TEST_DRAWS),
        }


def centred(digits: Sequence[PenDigit]) -> Digits:
    """Large drawings in the middle of the canvas, normalised: (N, 28, 28) uint8."""
    images = [normalise(draw_centred(digit)) for digit in digits]
    return Digits(np.array(images), np.array([digit.label for digit in digits], np.uint8))


def anywhere(digits: Sequence[PenDigit], draws: int) -> Digits:
    """Drawings of any size anywhere on the canvas, `draws` of each digit: (draws × N, 28, 28) uint8."""
    generator = np.random.default_rng(PLACES_SEED)
    images = [normalise(draw_anywhere(digit, generator)) for _ in range(draws) for digit in digits]
    return Digits(np.array(images), np.tile(np.array([digit.label for digit in digits], np.uint8), draws))


def _measured(group: WriterGroup, digits: Sequence[PenDigit], read: Read, draws: int) -> dict[str, Any]:
    return {
        "writers": list(WRITERS[group]),
        "digits": len(digits),
        "centred": _accuracy(centred(digits), len(digits), read),
        "anywhere": _accuracy(anywhere(digits, draws), len(digits), read),
    }


def _accuracy(drawn: Digits, independent: int, read: Read) -> dict[str, float]:
    """`independent`: how many digits people wrote for the drawings. Drawing one twice makes no second one,
    so that the interval is theirs.
    """
    accuracy = float((read(drawn.images).argmax(axis=1) == drawn.labels).mean())
    low, high = wilson_interval(round(accuracy * independent), independent)
    return {"drawings": len(drawn), "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}


def together(*parts: Digits) -> Digits:
    """One after the other."""
    return Digits(
        np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])
    )
