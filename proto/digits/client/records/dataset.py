"""Labelled digits and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digits.client.choices import Dataset, DataSourceKind

Pixels = npt.NDArray[np.uint8]
"""An image: (28, 28) uint8, 0 = background."""


@dataclass(frozen=True)
class DataSource:
    """Where the digits came from; `description` is a sentence for a person."""

    kind: DataSourceKind
    description: str
    sha256: str


@dataclass(frozen=True)
class DatasetInfo:
    """A data set, and whether its images are on the server's machine."""

    dataset: Dataset
    images: int
    is_available: bool


@dataclass(frozen=True)
class Datasets:
    """Every data set. While they are prepared, `data_source` is None and `data_progress` says how far."""

    datasets: tuple[DatasetInfo, ...]
    data_source: DataSource | None
    data_progress: str
