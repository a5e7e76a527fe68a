"""Which writes wait for the disk, and what is left of a transaction that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from server.database import begin_durably, mislabelled, open_database


def test_what_must_outlast_a_power_cut_waits_for_the_disk_and_nothing_else_does(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'digits.db'}")
    full, normal = 2, 1
    with begin_durably(database) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == normal
    mark = {"dataset": "mnist_test", "digit_index": 0, "sha256": "", "created": datetime.now(UTC)}

    def fail() -> None:
        with begin_durably(database) as connection:
            connection.execute(insert(mislabelled).values(mark))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    with database.connect() as connection:
        assert connection.execute(select(mislabelled)).first() is None
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == normal
    database.dispose()
