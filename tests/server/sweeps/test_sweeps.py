"""Sweeps from their start to their end: trials one by one, ended early, stopped, cancelled and failed."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.datasets import DataPreparation
from server.errors import (
    DataPreparing,
    InvalidArgument,
    InvalidOption,
    ShuttingDown,
    SweepFinished,
    SweepNotFound,
    SweepRunning,
    TrainingQueueFull,
)
from server.sweeps import DEFAULT_TRIALS, MAX_TRIALS, Course, Sweep, SweepRange, SweepState, TrialState
from server.training import MAX_WAITING, TrainingState

FELL_BEHIND, SUCCEEDED, WAITING = TrialState.FELL_BEHIND, TrialState.SUCCEEDED, TrialState.WAITING
CANCELLED, FAILED, RUNNING = TrialState.CANCELLED, TrialState.FAILED, TrialState.RUNNING
RATE = SweepRange("learning_rate", min=0.1, max=0.9)


def states(sweep: Sweep) -> list[TrialState]:
    return [trial.state for trial in sweep.trials]


def rates(sweep: Sweep) -> list[float]:
    return [trial.options.learning_rate for trial in sweep.trials]


def test_the_trial_with_the_highest_accuracy_wins_and_those_that_fall_behind_end_early(lab: Any) -> None:
    started = lab.start(0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    assert started.state is SweepState.RUNNING
    assert sorted(rates(started)) == [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

    sweep = lab.wait_for_end(started.sweep_id)

    assert sweep.state is SweepState.SUCCEEDED
    assert [options.learning_rate for options in lab.script.started] == rates(sweep)
    assert lab.script.most_at_once == 1
    best = sweep.best_trial
    assert (best.state, best.options.learning_rate, best.validation_accuracy) == (SUCCEEDED, 0.9, 0.9)
    behind = [trial for trial in sweep.trials if trial.state is FELL_BEHIND]
    assert behind
    for trial in behind:
        assert (trial.epochs, trial.model_version) == (1, None)
        assert lab.trainings.get(trial.training_id).state is TrainingState.CANCELLED
    kept = [trial.model_version for trial in sweep.trials if trial.state is SUCCEEDED]
    assert set(states(sweep)) == {SUCCEEDED, FELL_BEHIND}
    assert kept == list(range(2, 2 + len(kept)))
    assert all(trial.duration_s > 0 for trial in sweep.trials)
    # It is told how the best one did at the gate, but nobody asked to deploy it.
    assert sweep.gate.passed
    assert lab.engines.deployed == 1
    assert lab.sweeps.get(sweep.sweep_id) == sweep


def test_every_trial_trains_to_its_end_when_that_is_wanted(lab: Any) -> None:
    started = lab.start(0.9, 0.8, 0.7, 0.6, ends_early=False)
    assert states(lab.wait_for_end(started.sweep_id)) == [SUCCEEDED] * 4


def test_the_best_trials_version_is_deployed_through_the_gate(lab: Any) -> None:
    sweep = lab.wait_for_end(lab.start(0.5, 0.9, deploy_when_done=True).sweep_id)
    assert sweep.gate.passed
    assert lab.engines.deployed == sweep.best_trial.model_version
    assert lab.versions.history(0, 1)[0][0].cause == "its sweep asked for it, and it passed the gate"
    # No trial is deployed on the way.
    assert lab.versions.history(0, 10)[1] == 2


def test_a_version_that_was_deleted_since_is_not_named_any_more(lab: Any) -> None:
    sweep = lab.wait_for_end(lab.start(0.5, 0.9, ends_early=False).sweep_id)
    lab.versions.delete(2, "a test", lab.trainings.keep_off)
    assert [trial.model_version for trial in lab.sweeps.get(sweep.sweep_id).trials] == [None, 3]


def test_a_best_version_that_is_gone_is_not_deployed_and_that_is_told(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_up = lab.versions.take_up

    def delete_first(number: int, deploy: bool, **asked_by: str) -> Any:
        if deploy:
            lab.versions.delete(number, "a test", lab.trainings.keep_off)
        return take_up(number, deploy, **asked_by)

    monkeypatch.setattr(lab.versions, "take_up", delete_first)
    sweep = lab.wait_for_end(lab.start(0.5, 0.9, deploy_when_done=True).sweep_id)
    assert (sweep.state, sweep.gate.passed) == (SweepState.SUCCEEDED, False)
    assert "could not be deployed: model_version: no version" in sweep.gate.reasons[0]
    assert lab.engines.deployed == 1


def test_a_trial_that_fails_is_told_and_the_others_go_on(lab: Any) -> None:
    lab.script.fails = lambda options: options.learning_rate == 0.9
    sweep = lab.wait_for_end(lab.start(0.5, 0.9, ends_early=False).sweep_id)
    failed = next(trial for trial in sweep.trials if trial.options.learning_rate == 0.9)
    assert (failed.state, failed.failure_reason) == (FAILED, "the script says so")
    assert (sweep.state, sweep.best_trial.options.learning_rate) == (SweepState.SUCCEEDED, 0.5)


def test_a_sweep_without_a_single_version_fails_and_says_why(lab: Any) -> None:
    lab.script.fails = lambda options: True
    sweep = lab.wait_for_end(lab.start(0.5, 0.9).sweep_id)
    assert (sweep.state, sweep.best_trial, sweep.gate) == (SweepState.FAILED, None, None)
    assert sweep.failure_reason == (
        "no trial has made a version; the last that failed, trial 2: the script says so"
    )


def test_a_trial_whose_run_somebody_cancels_is_cancelled_and_the_others_go_on(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.5, 0.9)
    sweep = lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].epochs == 2)
    lab.trainings.cancel(sweep.trials[0].training_id)
    lab.script.last_epoch.set()
    assert states(lab.wait_for_end(started.sweep_id)) == [CANCELLED, SUCCEEDED]


def test_a_stopped_sweep_cancels_what_trains_and_begins_no_more(lab: Any) -> None:
    started = lab.start(0.9, 0.5, 0.7)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is SUCCEEDED)
    lab.script.last_epoch.clear()
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[1].state is RUNNING)
    # Somebody's own run waits behind the trial, and is none of the sweep's.
    own = lab.trainings.start("cnn", {"epochs": 2})

    sweep = lab.sweeps.stop(started.sweep_id)

    assert sweep.state is SweepState.STOPPED
    assert states(sweep) == [SUCCEEDED, CANCELLED, CANCELLED]
    assert (sweep.best_trial.number, sweep.trials[2].training_id) == (1, "")
    assert lab.trainings.get(sweep.trials[1].training_id).state is TrainingState.CANCELLED
    assert not lab.trainings.get(own.training_id).state.is_final
    with pytest.raises(SweepFinished, match="has been stopped already"):
        lab.sweeps.stop(sweep.sweep_id)
    lab.trainings.cancel(own.training_id)


def test_several_who_stop_a_sweep_at_once_are_all_told_that_it_is_stopped(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is RUNNING)
    together = threading.Barrier(4)

    def stop() -> SweepState:
        together.wait()
        return SweepState(lab.sweeps.stop(started.sweep_id).state)

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(stop) for _ in range(4)]
        outcomes = [each.exception() or each.result() for each in results]
    assert SweepState.STOPPED in outcomes
    assert all(each is SweepState.STOPPED or isinstance(each, SweepFinished) for each in outcomes)


def test_a_sweep_leaves_the_places_of_the_queue_to_people(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5, 0.7)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].state is RUNNING)
    own = [lab.trainings.start("cnn", {"epochs": 2}) for _ in range(MAX_WAITING)]
    lab.script.last_epoch.set()
    lab.wait_for_end(started.sweep_id)
    # The second trial came behind all that waited when the first one ended.
    assert [options.epochs for options in lab.script.started] == [3, *[2] * MAX_WAITING, 3, 3]
    assert all(lab.trainings.get(run.training_id).state is TrainingState.SUCCEEDED for run in own)


def test_the_same_request_id_gives_the_same_sweep_also_at_once_and_after_its_end(lab: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lab.start, 0.9, 0.5, request_id="once") for _ in range(4)]
        ids = {each.result().sweep_id for each in asked}
    assert len(ids) == 1
    lab.wait_for_end(ids.copy().pop())
    assert {lab.start(0.9, 0.5, request_id="once").sweep_id} == ids
    assert lab.sweeps.list(0, 10)[1] == 1


def test_one_sweep_runs_at_a_time(lab: Any) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    with pytest.raises(SweepRunning, match=started.sweep_id):
        lab.start(0.9, 0.5)
    lab.sweeps.stop(started.sweep_id)
    lab.script.last_epoch.set()
    later = lab.wait_for_end(lab.start(0.9, 0.5).sweep_id)
    page, total = lab.sweeps.list(0, 1)
    assert (total, [sweep.sweep_id for sweep in page]) == (2, [later.sweep_id])


def test_a_sweep_has_ten_trials_unless_something_else_is_asked_for(lab: Any) -> None:
    lab.script.last_epoch.clear()
    sweep = lab.sweeps.start("classic-fast", {}, [RATE])
    assert len(sweep.trials) == DEFAULT_TRIALS
    assert lab.sweeps.stop(sweep.sweep_id).options == sweep.options


@pytest.mark.parametrize("trials", [-1, 1, MAX_TRIALS + 1])
def test_too_few_or_too_many_trials_are_refused_by_name(lab: Any, trials: int) -> None:
    with pytest.raises(InvalidArgument, match=f"trials: expected 2 to 100, or 0 for 10, got {trials}"):
        lab.sweeps.start("classic-fast", {}, [RATE], trials=trials)


@pytest.mark.parametrize("recipe", ["alchemy", "classic", "teach"])
def test_a_recipe_whose_trials_cannot_be_compared_is_refused_by_name(lab: Any, recipe: str) -> None:
    with pytest.raises(InvalidOption) as refusal:
        lab.sweeps.start(recipe, {}, [RATE])
    assert refusal.value.field == "recipe"
    assert lab.sweeps.list(0, 1)[1] == 0


def test_what_is_not_there_is_told(lab: Any) -> None:
    for call in (lab.sweeps.get, lab.sweeps.stop):
        with pytest.raises(SweepNotFound, match="no sweep 'x'"):
            call("x")


def test_nothing_begins_while_the_digits_are_prepared_or_the_server_goes_down(
    lab: Any, tmp_path: Path
) -> None:
    with DataPreparation(tmp_path / "never", url="http://127.0.0.1:9/mnist.npz") as preparing:
        lab.sweeps._data = preparing
        with pytest.raises(DataPreparing):
            lab.start(0.9, 0.5)
    lab.sweeps._data = lab.data
    lab.sweeps.close()
    with pytest.raises(ShuttingDown):
        lab.start(0.9, 0.5)


def test_a_tuner_that_fails_leaves_the_rest_to_go_on_one_by_one(new_sweep_lab: Any) -> None:
    class Failing:
        def tune(self, course: Course) -> None:
            next(course.follow(2))
            raise ConnectionError("the cluster is gone")

    lab = new_sweep_lab(tuner=Failing())
    sweep = lab.wait_for_end(lab.start(0.9, 0.5, 0.7, ends_early=False).sweep_id)
    assert states(sweep) == [SUCCEEDED] * 3
    assert lab.script.started[0].learning_rate == sweep.trials[1].options.learning_rate


def test_a_trial_that_cannot_begin_because_the_queue_or_the_disk_is_full_waits(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refusals = lab.trainings.start, [TrainingQueueFull(8), OSError(errno.ENOSPC, "full")]

    def start_later(*arguments: Any, **chosen: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return start(*arguments, **chosen)

    monkeypatch.setattr(lab.trainings, "start", start_later)
    monkeypatch.setattr("server.sweeps.course.RETRY_S", 0.01)
    sweep = lab.wait_for_end(lab.start(0.9, 0.5, ends_early=False).sweep_id)
    assert states(sweep) == [SUCCEEDED] * 2
    assert not refusals


def test_a_fault_on_the_way_holds_a_sweep_up_and_ends_nothing(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5, ends_early=False)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].epochs == 2)
    get, faults = lab.trainings.get, [OSError("a moment's fault")] * 4
    is_faulty = threading.Event()

    def get_later(training_id: str) -> Any:
        if threading.current_thread().name == "sweep" and faults:
            is_faulty.set()
            raise faults.pop()
        return get(training_id)

    monkeypatch.setattr("server.sweeps.sweeps.RETRY_S", 0.01)
    monkeypatch.setattr(lab.trainings, "get", get_later)
    lab.script.last_epoch.set()
    assert is_faulty.wait(60)
    assert states(lab.wait_for_end(started.sweep_id)) == [SUCCEEDED] * 2
    assert not faults
