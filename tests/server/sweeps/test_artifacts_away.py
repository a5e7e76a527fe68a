"""The place of the versions is away at the end of a sweep, or of a run: that waits, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server.errors import ShuttingDown
from server.sweeps import Course, OneByOne, SweepState, TrialState
from server.training import TrainingState

PATIENCE_S = 60.0


class Place:
    """A folder that machines share, on a disk that can be taken away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._away = folder.with_name("away")
        folder.mkdir()
        self.url = f"file://{folder}"

    def take_away(self) -> None:
        self._folder.rename(self._away)

    def put_back(self) -> None:
        self._away.rename(self._folder)


class AwayAfterwards:
    """One by one; when the last trial has ended, and before the best one is deployed, `happen` is called."""

    def __init__(self) -> None:
        self.happen: Callable[[], None] = lambda: None

    def tune(self, course: Course) -> None:
        OneByOne().tune(course)
        if not course.is_over:
            self.happen()
            self.happen = lambda: None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "shared")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def in_time(*actions: Callable[[], object]) -> None:
    """Do it, in order, and fail when that takes for ever."""

    def work() -> None:
        for action in actions:
            action()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(PATIENCE_S)
    assert not worker.is_alive(), "it does not come to an end"


def test_a_server_ends_though_a_sweep_that_is_stopped_waits_for_a_trial_that_waits_for_the_place(
    new_sweep_lab: Any, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lab = new_sweep_lab(artifacts_url=place.url)
    lab.script.last_epoch.clear()
    started = lab.start(0.9, 0.5)
    lab.wait_until(started.sweep_id, lambda sweep: sweep.trials[0].epochs == 2)
    place.take_away()
    lab.script.last_epoch.set()
    wait_for(lambda: "shared artifacts not reached" in caplog.text)
    told: list[BaseException] = []

    def stop() -> None:
        try:
            lab.sweeps.stop(started.sweep_id)
        except ShuttingDown as error:
            told.append(error)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    wait_for(lambda: "trial was complete" in caplog.text)

    # What waits for the place is let go first, as `Application.close` does it.
    lab.store.close()
    wait_for(lambda: "training ended" in caplog.text)
    in_time(lab.sweeps.close, lab.close)
    stopping.join(PATIENCE_S)
    assert len(told) == 1

    place.put_back()
    lab.script.last_epoch.clear()
    lab.open()
    ended = lab.wait_for_end(started.sweep_id)
    assert ended.state is SweepState.STOPPED
    assert [trial.state for trial in ended.trials] == [TrialState.CANCELLED] * 2


@pytest.mark.parametrize("fault", ["artifacts", "database"])
def test_the_best_version_is_deployed_once_what_it_needs_is_back(
    new_sweep_lab: Any,
    place: Place,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    tuner = AwayAfterwards()
    lab = new_sweep_lab(artifacts_url=place.url, tuner=tuner)
    is_cut = threading.Event()
    current = lab.versions._deployments.current

    def current_if_there() -> Any:
        if is_cut.is_set():
            raise psycopg.OperationalError("connection refused")
        return current()

    monkeypatch.setattr(lab.versions._deployments, "current", current_if_there)
    away, back = (place.take_away, place.put_back) if fault == "artifacts" else (is_cut.set, is_cut.clear)
    tuner.happen = away
    started = lab.start(0.9, 0.5, deploy_when_done=True)
    wait_for(lambda: "waits until it is back" in caplog.text)
    assert lab.sweeps.get(started.sweep_id).state is SweepState.RUNNING
    back()
    ended = lab.wait_for_end(started.sweep_id)
    assert (ended.state, ended.gate.passed) == (SweepState.SUCCEEDED, True)
    assert lab.engines.deployed == ended.best_trial.model_version


def test_the_next_server_deploys_the_best_version_when_this_one_ends_meanwhile(
    new_sweep_lab: Any, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    tuner = AwayAfterwards()
    lab = new_sweep_lab(artifacts_url=place.url, tuner=tuner)
    tuner.happen = place.take_away
    started = lab.start(0.9, 0.5, deploy_when_done=True)
    wait_for(lambda: "waits until it is back" in caplog.text)
    in_time(lab.close)
    place.put_back()
    lab.open()
    ended = lab.wait_for_end(started.sweep_id)
    assert (ended.state, ended.gate.passed) == (SweepState.SUCCEEDED, True)
    assert lab.engines.deployed == ended.best_trial.model_version


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_run_that_cannot_be_deployed_now_is_deployed_later_and_by_the_next_server_if_need_be(
    new_sweep_lab: Any,
    place: Place,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_cut_off: bool,
) -> None:
    lab = new_sweep_lab(artifacts_url=place.url)
    take_up, happen = lab.versions.take_up, [place.take_away]

    def take_up_later(*arguments: Any, **chosen: Any) -> Any:
        while happen:
            happen.pop()()
        return take_up(*arguments, **chosen)

    monkeypatch.setattr(lab.versions, "take_up", take_up_later)
    run = lab.trainings.start("classic-fast", {"epochs": 1}, deploy_when_done=True)
    wait_for(lambda: "waits until it is back" in caplog.text)
    assert lab.trainings.get(run.training_id).state is TrainingState.RUNNING
    if is_cut_off:
        in_time(lab.close)
        place.put_back()
        lab.open()
    else:
        place.put_back()
    wait_for(lambda: lab.trainings.get(run.training_id).state.is_final)
    ended = lab.trainings.get(run.training_id)
    assert (ended.state, ended.model_version, ended.gate.passed) == (TrainingState.SUCCEEDED, 2, True)
    assert (lab.engines.deployed, len(lab.script.started)) == (2, 1)
