"""The database of an earlier version."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from server.database import begin_durably, mislabelled, open_database, trainings
from server.training.run import TrainingRun

# The table as the first version made it.
FIRST = """
CREATE TABLE trainings (
    id VARCHAR(64) NOT NULL PRIMARY KEY, request_id VARCHAR(128) UNIQUE, recipe VARCHAR(64) NOT NULL,
    options JSON NOT NULL, state VARCHAR(16) NOT NULL, deploy_when_done BOOLEAN NOT NULL,
    created DATETIME NOT NULL, started DATETIME, ended DATETIME, progress JSON, history JSON NOT NULL,
    model_version INTEGER, failure_reason TEXT NOT NULL, data_source JSON
)
"""
OPTIONS = (
    '{"architecture": "mlp", "activation": "relu", "optimizer": "adam", "learning_rate": 0.001, '
    '"epochs": 10, "batch_size": 32, "augmentation": "none", "seed": 1}'
)


def test_the_runs_of_an_earlier_version_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "digits.db"
    with sqlite3.connect(path) as connection:
        connection.execute(FIRST)
        connection.execute(
            "INSERT INTO trainings (id, recipe, options, state, deploy_when_done, created, history, "
            "failure_reason) VALUES ('old', 'classic', ?, 'succeeded', 1, '2026-01-02 03:04:05.0', '[]', '')",
            (OPTIONS,),
        )
    connection.close()
    # The second start finds nothing to add.
    for _ in range(2):
        database = open_database(f"sqlite:///{path}")
        with database.connect() as reading:
            row = reading.execute(select(trainings)).mappings().one()
        run = TrainingRun.from_row(dict(row))
        database.dispose()
    assert (run.training_id, run.resumes, run.stopped_early, run.device) == ("old", 0, False, "")
    assert run.libraries == {}


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
