"""Databases as earlier releases left them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def old_database(tmp_path: Path) -> Callable[[str], Path]:
    """`old_database("first")`: the file of a database of that schema, with the rows of `rows.sql`."""

    def make(schema: str) -> Path:
        path = tmp_path / "data" / "digits.db"
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((HERE / "schemas" / f"{schema}.sql").read_text())
            connection.executescript((HERE / "rows.sql").read_text())
        return path

    return make
