"""What becomes of a run that the database does not take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError

from server.database import trainings
from server.training import TrainingState

PATIENCE_S = 60.0


@contextmanager
def refusing_updates(lab: Any) -> Iterator[None]:
    """The database takes no change of a run, as when the disk is full."""
    with lab.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE ON trainings BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    yield
    with lab.database.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")


def stored_state(lab: Any, training_id: str) -> str:
    with lab.database.connect() as connection:
        query = select(trainings.c.state).where(trainings.c.id == training_id)
        return str(connection.execute(query).scalar_one())


def test_how_a_run_ended_is_saved_as_soon_as_there_is_room(lab: Any) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    with refusing_updates(lab):
        # Nobody is told that it was done as long as a crash would undo it.
        with pytest.raises(DatabaseError, match="full"):
            lab.trainings.cancel(run.training_id)
        # Told from memory.
        assert lab.wait_for_end(run.training_id).state is TrainingState.CANCELLED
        assert stored_state(lab, run.training_id) == TrainingState.RUNNING
    deadline = time.monotonic() + PATIENCE_S
    while stored_state(lab, run.training_id) != TrainingState.CANCELLED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lab.restart()
    assert lab.trainings.get(run.training_id).state is TrainingState.CANCELLED


def test_a_run_that_was_told_to_end_early_is_told_as_such_once_that_is_stored(lab: Any) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    with refusing_updates(lab), pytest.raises(DatabaseError, match="full"):
        lab.trainings.stop(run.training_id)
    assert lab.trainings.stop(run.training_id).stopped_early
    lab.trainings.cancel(run.training_id)


def test_a_waiting_run_whose_cancelling_cannot_be_kept_waits_on(lab: Any) -> None:
    first = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_until(first.training_id, lambda run: run.state is TrainingState.RUNNING)
    waiting = lab.trainings.start("classic", {"epochs": 1})
    with refusing_updates(lab), pytest.raises(DatabaseError):
        lab.trainings.cancel(waiting.training_id)
    assert lab.trainings.get(waiting.training_id).queue_position == 1
    assert lab.trainings.cancel(waiting.training_id).state is TrainingState.CANCELLED
    lab.trainings.cancel(first.training_id)
