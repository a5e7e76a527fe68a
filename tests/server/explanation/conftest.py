"""Versions to explain, and the built-in digits to find neighbours among."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from server.datasets import Data
from server.errors import DataPreparing
from server.explanation import Neighbour, Neighbours
from server.explanation.neighbours import NotReady
from server.models import ModelStore, ModelVersion

PATIENCE_S = 60.0


class Prepared:
    """Digits that are there already, as `DataPreparation` gives them; or, with None, not there yet."""

    def __init__(self, root: Path, data: Data | None) -> None:
        self.root = root
        self._data = data

    def data(self) -> Data:
        if self._data is None:
            raise DataPreparing("the digits are not ready yet", retry_after_s=1.0)
        return self._data


@pytest.fixture
def version(store: ModelStore, save: Callable[..., ModelVersion], regression: Any) -> ModelVersion:
    """A version whose features are the pixels themselves."""
    return save(store, regression)


@pytest.fixture
def open_neighbours(
    tmp_path: Path, store: ModelStore, builtin_root: Path, builtin_data: Data
) -> Iterator[Callable[..., Neighbours]]:
    """`open_neighbours()`: as a start of the server opens them; `data=None` for no digits yet."""
    opened: list[Neighbours] = []

    def make(data: Data | None = builtin_data) -> Neighbours:
        prepared: Any = Prepared(builtin_root, data)
        opened.append(Neighbours(tmp_path / "features", store, prepared))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def neighbours(open_neighbours: Callable[..., Neighbours]) -> Neighbours:
    return open_neighbours()


@pytest.fixture(scope="session")
def found() -> Callable[..., tuple[Neighbour, ...]]:
    """`found(neighbours, version, image, count)`: asks until they are there."""

    def ask(
        neighbours: Neighbours, version: int, image: npt.NDArray[np.uint8], count: int
    ) -> tuple[Neighbour, ...]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                return neighbours.nearest(version, image, count)
            except NotReady:
                time.sleep(0.02)
        return neighbours.nearest(version, image, count)

    return ask
