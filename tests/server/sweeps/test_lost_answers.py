"""A sweep is stored, and the answer of the database is lost on the way: it is not forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from live_postgres import on_both
from lost_answers import losing_an_answer
from sqlalchemy.exc import DatabaseError

from server.errors import SweepRunning
from server.sweeps import SweepState

pytestmark = on_both


@pytest.fixture
def lab(new_sweep_lab: Any, database_url: str) -> Any:
    """One machine's, with its rows in the database of the test."""
    return new_sweep_lab(database_url=database_url)


def start_unanswered(lab: Any) -> None:
    """Start a sweep whose caller is told that the database is away."""
    with losing_an_answer(lab.database, "sweeps", is_away_then=True), pytest.raises(DatabaseError):
        lab.start(0.9, 0.5, request_id="once")
    assert lab.script.started == []


def test_a_sweep_whose_row_is_there_all_the_same_is_begun(lab: Any) -> None:
    with losing_an_answer(lab.database, "sweeps") as is_lost:
        sweep = lab.start(0.9, 0.5)
    assert is_lost.is_set()
    assert lab.wait_for_end(sweep.sweep_id).state is SweepState.SUCCEEDED


def test_who_asks_again_for_such_a_sweep_gets_it_and_it_is_seen_through(lab: Any) -> None:
    start_unanswered(lab)
    again = lab.start(0.9, 0.5, request_id="once")
    assert lab.wait_for_end(again.sweep_id).state is SweepState.SUCCEEDED
    assert lab.sweeps.list(0, 10)[1] == 1


def test_such_a_sweep_is_the_one_that_runs(lab: Any) -> None:
    start_unanswered(lab)
    (known,), _ = lab.sweeps.list(0, 10)
    with pytest.raises(SweepRunning, match=known.sweep_id):
        lab.start(0.7, 0.6)
    assert lab.wait_for_end(known.sweep_id).state is SweepState.SUCCEEDED


def test_such_a_sweep_can_be_stopped(lab: Any) -> None:
    start_unanswered(lab)
    (known,), _ = lab.sweeps.list(0, 10)
    lab.script.last_epoch.clear()
    assert lab.sweeps.stop(known.sweep_id).state is SweepState.STOPPED


def test_a_sweep_goes_on_with_a_trial_whose_start_was_not_answered(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sweeps.course.RETRY_S", 0.01)
    with losing_an_answer(lab.database, "trainings", is_away_then=True) as is_lost:
        started = lab.start(0.9, 0.5)
        assert is_lost.wait(60)
    assert lab.wait_for_end(started.sweep_id).state is SweepState.SUCCEEDED
    assert lab.trainings.list(0, 10)[1] == 2
