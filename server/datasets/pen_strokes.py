"""Digits that people wrote with a pen on a tablet: the strokes, and who wrote them.

"Pen-Based Recognition of Handwritten Digits", E. Alpaydin and F. Alimoglu, UCI Machine Learning Repository,
CC BY 4.0. The file is gzip of one JSON object a line, of which these are read:

    label     0 to 9
    strokes   a list of strokes in writing order, each a list of [x, y]; y points down, the longer side of
              the digit is scaled to 1, its aspect is kept
    writer    "train:1" to "train:30"
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from server.errors import DatasetUnavailable


class WriterGroup(StrEnum):
    """What a writer's digits are for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


# Drawn once, by `numpy.random.default_rng(2026).permutation(30) + 1`, and never to be changed: whoever is on
# one side has not been on another since the first network learnt from these strokes.
WRITERS: Mapping[WriterGroup, tuple[int, ...]] = MappingProxyType(
    {
        WriterGroup.TRAIN: (1, 2, 3, 4, 7, 10, 12, 13, 14, 16, 17, 18, 19, 21, 22, 24, 25, 26, 27, 29),
        WriterGroup.VALIDATION: (9, 15, 23, 28),
        WriterGroup.TEST: (5, 6, 8, 11, 20, 30),
    }
)


@dataclass(frozen=True, eq=False)
class PenDigit:
    """One digit: strokes (n, 2) float32 of x and y, y pointing down, the digit's longer side 1."""

    label: int
    strokes: tuple[np.ndarray, ...]
    writer: int


def read_pen_strokes(path: Path) -> list[PenDigit]:
    """Every digit of the file, in its order.

    Raises DatasetUnavailable, naming DIGITS_PEN_STROKES, when it is not there, is damaged, or holds something
    else.
    """
    number = 0
    digits = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                number += 1
                digits.append(_digit(json.loads(line)))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())
        raise DatasetUnavailable(
            f"DIGITS_PEN_STROKES={path}: expected gzip of one JSON object a line with label, strokes and "
            f"writer; got, in line {number}: {found}"
        ) from error
    if not digits:
        raise DatasetUnavailable(f"DIGITS_PEN_STROKES={path}: expected digits, got an empty file")
    return digits


def of_group(digits: Iterable[PenDigit], group: WriterGroup) -> list[PenDigit]:
    """Those digits whose writer belongs to `group`, in their order."""
    return [digit for digit in digits if digit.writer in WRITERS[group]]


def _digit(values: Mapping[str, Any]) -> PenDigit:
    label = values["label"]
    if label not in range(10):
        raise ValueError(f"the label {label!r}")
    prefix, _, writer = values["writer"].partition(":")
    if prefix != "train" or int(writer) not in range(1, 31):
        raise ValueError(f"the writer {values['writer']!r}")
    strokes = tuple(np.asarray(stroke, np.float32) for stroke in values["strokes"])
    if not strokes or any(stroke.ndim != 2 or stroke.shape[1] != 2 for stroke in strokes):
        raise ValueError("strokes that are no lists of [x, y]")
    if not all(np.isfinite(stroke).all() for stroke in strokes):
        raise ValueError("a point that is nowhere")
    return PenDigit(int(label), strokes, int(writer))
