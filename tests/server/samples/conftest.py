"""Samples of real digits, in a database of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import Engine as Database

from server.database import open_database
from server.datasets import Data
from server.errors import DataPreparing
from server.models import ModelStore
from server.samples import NewSample, Samples
from server.samples.drawn import drawn


class Digits:
    """Digits that are there, as `DataPreparation` gives them; or, with None, not there yet."""

    def __init__(self, data: Data | None) -> None:
        self.there = data

    def data(self) -> Data:
        if self.there is None:
            raise DataPreparing("the digits are not ready yet", retry_after_s=1.0)
        return self.there


@pytest.fixture
def digits(builtin_data: Data) -> Digits:
    """The built-in digits. `digits.there = None` takes them away."""
    return Digits(builtin_data)


@pytest.fixture
def open_samples(
    store: ModelStore, digits: Digits, tmp_path: Path, database_url: str
) -> Iterator[Callable[..., Samples]]:
    """`open_samples(limit_mib=…)`: as a start of the server opens them."""
    opened: list[Samples] = []
    databases: list[Database] = []

    def make(**settings: int) -> Samples:
        database = open_database(database_url)
        databases.append(database)
        opened.append(Samples(database, store, digits, tmp_path / "samples", **settings))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    for database in databases:
        database.dispose()


@pytest.fixture
def samples(open_samples: Callable[[], Samples]) -> Samples:
    return open_samples()


@pytest.fixture(scope="session")
def learnable(builtin_data: Data) -> Any:
    """Digits that may be trained on: 3,500."""
    return builtin_data.split(use_all=False).train


def make_sample(pixels: npt.NDArray[np.uint8], label: int, **changes: Any) -> NewSample:
    """A digit sent as pixels, read as its label by version 1 with a confidence of 0.9."""
    values = {"predicted_digit": label, "confidence": 0.9, "model_version": 1, **changes}
    return drawn(values.pop("encoded", None), pixels, label, **values)


@pytest.fixture(scope="session")
def sample_of() -> Callable[..., NewSample]:
    """`sample_of(pixels, label, …)` gives a sample to add."""
    return make_sample


@pytest.fixture(scope="session")
def png() -> Callable[[npt.NDArray[np.uint8]], bytes]:
    """`png(pixels)` encodes pixels."""
    return lambda pixels: cv2.imencode(".png", pixels)[1].tobytes()
