"""Evaluations as a start of the server opens them, with the built-in digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine as Database

from server.database import open_database
from server.datasets import Data
from server.errors import DataPreparing
from server.evaluation import Evaluations
from server.models import ModelStore, ModelVersion


class Prepared:
    """Digits that are there already, as `DataPreparation` gives them; or, with None, not there yet."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def data(self) -> Data:
        if self._data is None:
            raise DataPreparing("the digits are not ready yet", retry_after_s=1.0)
        return self._data  # type: ignore[no-any-return]


@pytest.fixture
def prepared(builtin_data: Data) -> Prepared:
    """The built-in digits, there already."""
    return Prepared(builtin_data)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def open_evaluations(
    database: Database, store: ModelStore, builtin_data: Data
) -> Iterator[Callable[..., Evaluations]]:
    """`open_evaluations()`: as a start of the server opens them; `data=`, `store=` for other ones."""
    opened: list[Evaluations] = []

    def make(data: Any = builtin_data, store: ModelStore = store) -> Evaluations:
        opened.append(Evaluations(database, store, Prepared(data)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def evaluations(open_evaluations: Callable[..., Evaluations]) -> Evaluations:
    return open_evaluations()


@pytest.fixture
def version(store: ModelStore, save: Callable[..., ModelVersion], regression: Any) -> ModelVersion:
    """Trained on builtin_train, its best epoch chosen on builtin_validation."""
    return save(store, regression)
