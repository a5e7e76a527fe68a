"""A run is stored, and the answer of the database is lost on the way: it is not forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_postgres import on_both
from lost_answers import losing_an_answer
from scripted_training import Script
from sqlalchemy.exc import DatabaseError
from training_lab import Lab

from server.datasets import DataPreparation
from server.errors import ShuttingDown, TrainingWaiting
from server.protocol import TrainingSpec
from server.training import TrainingState

pytestmark = on_both


@pytest.fixture
def lab(
    tmp_path: Path,
    preparation: DataPreparation,
    complete: Callable[..., Path],
    regression: Any,
    database_url: str,
) -> Iterator[Lab]:
    """An empty data directory, with trainings that are done at once."""

    def write_version(spec: TrainingSpec) -> None:
        complete(spec.staging, regression, training_id=spec.training_id)

    lab = Lab(tmp_path, preparation, launch=Script(write_version), database_url=database_url)
    yield lab
    lab.close()


def start_unanswered(lab: Lab, request_id: str | None = None) -> str:
    """Start a run whose caller is told that the database is away; returns its id."""
    with losing_an_answer(lab.database, "trainings", is_away_then=True), pytest.raises(DatabaseError):
        lab.trainings.start("cnn", {"epochs": 1}, request_id=request_id)
    (run,), _ = lab.trainings.list(0, 10)
    assert (run.state, run.queue_position) == (TrainingState.QUEUED, 0)
    return run.training_id


def test_a_run_whose_row_is_there_all_the_same_is_begun(lab: Lab) -> None:
    with losing_an_answer(lab.database, "trainings") as is_lost:
        run = lab.trainings.start("cnn", {"epochs": 1})
    assert is_lost.is_set()
    assert lab.wait_for_end(run.training_id).state is TrainingState.SUCCEEDED


def test_who_asks_again_for_such_a_run_gets_it_and_it_is_begun(lab: Lab) -> None:
    training_id = start_unanswered(lab, request_id="once")
    again = lab.trainings.start("cnn", {"epochs": 1}, request_id="once")
    assert (again.training_id, again.queue_position) == (training_id, 1)
    assert lab.wait_for_end(training_id).state is TrainingState.SUCCEEDED
    assert lab.trainings.list(0, 10)[1] == 1


def test_such_a_run_can_be_cancelled(lab: Lab) -> None:
    lab.at_once = lambda: 0
    assert lab.trainings.at_once == 0
    training_id = start_unanswered(lab)
    with pytest.raises(TrainingWaiting):
        lab.trainings.stop(training_id)
    assert lab.trainings.cancel(training_id).state is TrainingState.CANCELLED


def test_while_the_server_goes_down_such_a_run_is_left_to_the_next_one(lab: Lab) -> None:
    training_id = start_unanswered(lab)
    lab.trainings.close()
    with pytest.raises(ShuttingDown):
        lab.trainings.cancel(training_id)
    lab.restart()
    assert lab.wait_for_end(training_id).state is TrainingState.SUCCEEDED
