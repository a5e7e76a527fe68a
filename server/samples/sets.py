"""Samples as arrays, to train on or to measure with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.samples.sample import SIDE


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Samples in the order in which they were added."""

    ids: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    """(N, 28, 28) uint8, 0 = background."""
    labels: npt.NDArray[np.uint8]
    """(N,) uint8, 0 to 9."""

    def __len__(self) -> int:
        return len(self.ids)


def sample_set(rows: Sequence[tuple[str, bytes, int]]) -> SampleSet:
    """The set of samples given as id, 784 bytes and label each."""
    joined = b"".join(pixels for _, pixels, _ in rows)
    return SampleSet(
        ids=tuple(sample_id for sample_id, _, _ in rows),
        pixels=np.frombuffer(joined, np.uint8).reshape(-1, SIDE, SIDE),
        labels=np.array([label for _, _, label in rows], np.uint8),
    )
