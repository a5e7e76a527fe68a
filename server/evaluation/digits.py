"""The digits of a data set, to browse or to try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.datasets import Digits
from server.evaluation.shuffle import shuffled


@dataclass(frozen=True, eq=False)
class TestDigit:
    """A labelled image of a data set."""

    __test__ = False  # Not a test, whatever pytest makes of the name.

    index: int
    """Its place in the data set."""
    image: npt.NDArray[np.uint8]
    """(28, 28) uint8, 0 = background."""
    label: int


def list_digits(
    digits: Digits, label: int | None, offset: int, limit: int, seed: int
) -> tuple[list[TestDigit], int]:
    """A page of digits, None meaning any label, and how many there are in all.

    `seed` 0 is the order of the data set, any other a random one.
    """
    labels = np.asarray(digits.labels)
    indices = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
    if seed:
        indices = shuffled(indices, seed)
    page = [
        TestDigit(int(index), np.array(digits.images[index]), int(labels[index]))
        for index in indices[offset : offset + limit]
    ]
    return page, len(indices)
