"""What a gate needs: a store with versions, the digits, and people's samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from server.database import open_database
from server.datasets import DataPreparation
from server.gate import Gate
from server.models import ModelStore
from server.samples import Samples


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = open_database(f"sqlite:///{tmp_path / 'digits.db'}")
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def preparation(builtin_root: Path) -> Iterator[DataPreparation]:
    """The built-in digits, ready."""
    with DataPreparation(builtin_root) as preparation:
        preparation.wait(60)
        yield preparation


@pytest.fixture
def samples(
    database: Database, store: ModelStore, preparation: DataPreparation, tmp_path: Path
) -> Iterator[Samples]:
    """No samples yet."""
    samples = Samples(database, store, preparation, tmp_path / "samples")
    yield samples
    samples.close()


@pytest.fixture
def gate(store: ModelStore, preparation: DataPreparation, samples: Samples) -> Gate:
    """The gate of that store."""
    return Gate(store, preparation, samples)
