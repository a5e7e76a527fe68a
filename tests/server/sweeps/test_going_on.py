"""A sweep that the server's end cuts off goes on with the next one: what ended stays, the rest follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from server.sweeps import SweepState, TrialState
from server.training import TrainingState


def test_after_a_restart_finished_trials_stay_and_the_others_go_on_to_the_same_end(lab: Any) -> None:
    undisturbed = lab.wait_for_end(lab.start(0.9, 0.4, 0.8, 0.5, 0.7, 0.6).sweep_id)
    began = len(lab.script.started)
    started = lab.start(0.9, 0.4, 0.8, 0.5, 0.7, 0.6)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state.is_final)
    lab.script.last_epoch.clear()
    before = lab.wait_until(
        started.sweep_id, lambda sweep: any(trial.state is TrialState.RUNNING for trial in sweep.trials)
    )

    lab.close()
    lab.script.last_epoch.set()
    lab.open()

    sweep = lab.wait_for_end(started.sweep_id)
    assert sweep.state is SweepState.SUCCEEDED
    assert sweep.trials[0] == before.trials[0]
    fates = [(trial.options, trial.state, trial.validation_accuracy) for trial in sweep.trials]
    assert fates == [(trial.options, trial.state, trial.validation_accuracy) for trial in undisturbed.trials]
    # Each began once, but for the one that was cut off; no trial has two runs.
    assert len(lab.script.started) - began <= len(sweep.trials) + 1
    assert lab.trainings.list(0, 100)[1] == 2 * len(sweep.trials)


def test_a_run_that_was_begun_just_before_the_end_is_found_again(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    sweep = lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is TrialState.RUNNING)
    lab.close()
    # As a crash leaves it between the start of the run and the note of it.
    lab.open_database()
    unnoted = replace(sweep.trials[0], training_id="", state=TrialState.WAITING, epochs=0)
    lab.table.update(sweep.with_trial(unnoted))
    lab.script.last_epoch.set()
    lab.open()

    ended = lab.wait_for_end(started.sweep_id)
    assert ended.trials[0].training_id == sweep.trials[0].training_id
    assert lab.trainings.list(0, 10)[1] == 2


def test_a_trial_that_had_fallen_behind_when_the_server_was_killed_is_ended_by_the_next(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    sweep = lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].epochs == 2)
    lab.close()
    # As a crash leaves it between the decision and the deed.
    lab.open_database()
    lab.table.update(sweep.with_trial(replace(sweep.trials[0], is_behind=True)))
    lab.open()

    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is TrialState.FELL_BEHIND)
    run = lab.trainings.get(sweep.trials[0].training_id)
    assert run.state is TrainingState.CANCELLED
    lab.script.last_epoch.set()
    assert lab.wait_for_end(started.sweep_id).best_trial.number == 2


def test_a_sweep_that_was_told_to_stop_when_the_server_was_killed_is_stopped_by_the_next(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    sweep = lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is TrialState.RUNNING)
    lab.close()
    lab.open_database()
    lab.table.update(replace(sweep, is_stopping=True))
    lab.open()

    ended = lab.wait_for_end(started.sweep_id)
    assert ended.state is SweepState.STOPPED
    assert [trial.state for trial in ended.trials] == [TrialState.CANCELLED] * 2
    assert lab.trainings.get(ended.trials[0].training_id).state is TrainingState.CANCELLED


def test_how_a_sweep_ended_is_saved_as_soon_as_it_can_be(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table, is_full = lab.sweeps._table, [True]
    update = table.update

    def update_if_there_is_room(sweep: Any) -> None:
        if is_full[0]:
            raise OperationalError("UPDATE", {}, OSError("the disk is full"))
        update(sweep)

    monkeypatch.setattr(table, "update", update_if_there_is_room)
    started = lab.start(0.9, 0.5)
    told = lab.wait_until(started.sweep_id, lambda sweep: all(trial.state.is_final for trial in sweep.trials))
    # It is told from memory meanwhile, and has not ended: that would be lost with the server.
    assert told.state is SweepState.RUNNING
    is_full[0] = False
    assert lab.wait_for_end(started.sweep_id).best_trial is not None
    lab.restart()
    assert lab.sweeps.get(started.sweep_id).state is SweepState.SUCCEEDED
