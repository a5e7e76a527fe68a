"""What somebody was told is kept waits for the disk; what a run writes many times does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from server.database import open_database
from server.datasets import Data, Dataset
from server.evaluation.marks import Marks
from server.models import Deployments
from server.recipes import resolve
from server.training import TrainingRun, TrainingState
from server.training.table import TrainingTable

FULL = 2  # PRAGMA synchronous: each commit waits for the disk.


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'digits.db'}")


@pytest.fixture
def waited(database: Engine) -> list[bool]:
    """For each transaction that was committed: whether it waited for the disk."""
    found: list[bool] = []
    is_writing: set[Any] = set()

    def note(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            is_writing.add(connection.connection.dbapi_connection)

    def committed(connection: Connection) -> None:
        if (raw := connection.connection.dbapi_connection) in is_writing:
            is_writing.remove(raw)
            assert raw is not None
            found.append(raw.cursor().execute("PRAGMA synchronous").fetchone()[0] == FULL)

    event.listen(database, "before_cursor_execute", note)
    event.listen(database, "commit", committed)
    return found


@pytest.fixture
def run() -> TrainingRun:
    return TrainingRun(
        training_id="one", recipe="classic", options=resolve("classic", {}), created=datetime.now(UTC)
    )


def test_deployments_and_deletions_wait_for_the_disk(database: Engine, waited: list[bool]) -> None:
    record = Deployments(database)
    record.deploy(1, "first start", request_id="a")
    record.deploy(2, "asked for")
    record.undeploy("asked for")
    record.delete(1, "not needed")
    assert waited == [True] * 4


def test_the_start_and_the_end_of_a_run_wait_for_the_disk_and_its_epochs_do_not(
    database: Engine, waited: list[bool], run: TrainingRun
) -> None:
    table = TrainingTable(database)
    table.insert(run)
    table.update(replace(run, state=TrainingState.RUNNING))
    table.update(replace(run, state=TrainingState.SUCCEEDED))
    assert waited == [True, False, True]


def test_marks_wait_for_the_disk(database: Engine, waited: list[bool], builtin_data: Data) -> None:
    marks, digits = Marks(database), builtin_data.dataset(Dataset.BUILTIN_TEST)
    marks.mark(Dataset.BUILTIN_TEST, digits, 3, None)
    marks.unmark(Dataset.BUILTIN_TEST, digits, 3)
    assert waited == [True, True]
