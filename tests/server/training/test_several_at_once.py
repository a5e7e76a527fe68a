"""The queue where more than one run trains at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError
from training_lab import wait_for_children

from server.datasets import DataPreparation
from server.errors import TrainingQueueFull
from server.training import MAX_WAITING, Patience, TrainingRun, TrainingState

LONG = {"epochs": 200}
PATIENCE_S = 60.0


@pytest.fixture
def places() -> list[int]:
    """How many may train at once: `places[0]`, whenever the lab asks."""
    return [2]


@pytest.fixture
def lab(
    tmp_path: Path, preparation: DataPreparation, new_lab: Callable[..., Any], places: list[int]
) -> Iterator[Any]:
    """An empty data directory with two places to train."""
    lab = new_lab(tmp_path, preparation, at_once=lambda: places[0])
    yield lab
    lab.close()


def wait_for_start(lab: Any, *runs: TrainingRun) -> None:
    for run in runs:
        lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING, PATIENCE_S)


def position(lab: Any, run: TrainingRun) -> int:
    return int(lab.trainings.get(run.training_id).queue_position)


def test_two_train_the_third_waits_and_takes_the_place_of_the_one_that_is_cancelled(lab: Any) -> None:
    first, second, third, fourth = [lab.trainings.start("cnn", LONG) for _ in range(4)]
    wait_for_start(lab, first, second)
    wait_for_children(2)
    assert (position(lab, third), position(lab, fourth)) == (1, 2)
    assert lab.trainings.counts() == {TrainingState.RUNNING: 2, TrainingState.QUEUED: 2}

    cancelled = lab.trainings.cancel(first.training_id)
    assert cancelled.state is TrainingState.CANCELLED
    wait_for_start(lab, third)
    wait_for_children(2)
    assert lab.trainings.get(second.training_id).state is TrainingState.RUNNING
    assert position(lab, fourth) == 1
    assert {path.name for path in lab.staged} <= {second.training_id, third.training_id}


def test_two_that_train_at_the_same_time_each_make_their_version(lab: Any, quick: dict[str, object]) -> None:
    runs = [lab.trainings.start("classic-fast", quick | {"seed": seed}) for seed in (1, 2)]
    wait_for_start(lab, *runs)
    ended = [lab.wait_for_end(run.training_id) for run in runs]
    assert [run.failure_reason for run in ended] == ["", ""]
    assert {run.model_version for run in ended} == {1, 2}
    for run in ended:
        assert lab.store.get(run.model_version).options["seed"] == run.options.seed
        assert lab.store.get(run.model_version).training_id == run.training_id
    assert sorted(version for version, _ in lab.versions) == [1, 2]


def test_a_place_that_is_new_is_taken_and_one_that_is_gone_is_not_taken_again(
    lab: Any, places: list[int]
) -> None:
    places[0] = 0
    first, second = [lab.trainings.start("cnn", LONG) for _ in range(2)]
    assert (position(lab, first), position(lab, second)) == (1, 2)
    assert lab.trainings.at_once == 0

    places[0] = 2
    wait_for_start(lab, first, second)

    # Where there was a place for two there is one for one: what trains is left alone.
    places[0] = 1
    third = lab.trainings.start("cnn", LONG)
    lab.trainings.cancel(first.training_id)
    wait_for_children(1)
    assert lab.trainings.get(second.training_id).state is TrainingState.RUNNING
    assert position(lab, third) == 1
    lab.trainings.cancel(second.training_id)
    wait_for_start(lab, third)


def test_while_nobody_knows_how_many_places_there_are_it_is_as_many_as_before(
    lab: Any, places: list[int]
) -> None:
    assert lab.trainings.at_once == 2

    def unknown() -> int:
        raise ConnectionError("the cluster does not answer")

    lab.at_once = unknown
    assert lab.trainings.at_once == 2
    runs = [lab.trainings.start("cnn", LONG) for _ in range(3)]
    wait_for_start(lab, *runs[:2])
    assert position(lab, runs[2]) == 1


def test_eight_may_wait_for_each_that_may_train(lab: Any) -> None:
    training = [lab.trainings.start("classic", {}) for _ in range(2)]
    wait_for_start(lab, *training)
    waiting = [lab.trainings.start("classic", {}) for _ in range(2 * MAX_WAITING)]
    assert position(lab, waiting[-1]) == 2 * MAX_WAITING
    with pytest.raises(TrainingQueueFull, match=f"2 trainings run and {2 * MAX_WAITING} are waiting already"):
        lab.trainings.start("classic", {})


def test_a_crash_with_two_that_trained_takes_both_up_before_what_waited(lab: Any) -> None:
    first, second, third = [lab.trainings.start("cnn", LONG) for _ in range(3)]
    wait_for_start(lab, first, second)
    wait_for_children(2)
    lab.crash()
    wait_for_start(lab, first, second)
    assert [lab.trainings.get(run.training_id).resumes for run in (first, second, third)] == [1, 1, 0]
    assert position(lab, third) == 1

    # In order, none of them counts as cut off, and no child is left behind.
    lab.trainings.close()
    wait_for_children(0)
    lab.restart()
    wait_for_start(lab, first, second)
    assert [lab.trainings.get(run.training_id).resumes for run in (first, second, third)] == [1, 1, 0]


def test_how_several_runs_ended_is_saved_as_soon_as_there_is_room(lab: Any) -> None:
    runs = [lab.trainings.start("cnn", LONG) for _ in range(2)]
    wait_for_start(lab, *runs)
    with lab.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE ON trainings BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    for run in runs:
        with pytest.raises(DatabaseError, match="full"):
            lab.trainings.cancel(run.training_id)
        assert lab.wait_for_end(run.training_id).state is TrainingState.CANCELLED
    # Told from memory, while the rows still say that they train.
    assert lab.trainings.counts() == {TrainingState.RUNNING: 2}
    with lab.database.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    lab.restart()
    assert lab.trainings.counts() == {TrainingState.CANCELLED: 2}


class Placeless:
    """A program that finds no place, until it is stopped."""

    place: Mapping[str, str | int] = {}
    was_cut_off = was_lost = False

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self.has_waited_long = threading.Event()

    def events(self) -> Iterator[dict[str, Any]]:
        for number in range(10_000):
            if self._stopped.wait(0.1):
                return
            yield {"event": "waiting"}
            if number == 30:
                self.has_waited_long.set()

    def end_early(self) -> None:
        pass

    def stop(self) -> None:
        self._stopped.set()

    def wait(self) -> str:
        return "was stopped"


def test_a_run_that_has_yet_to_find_its_place_does_not_count_as_hanging(lab: Any) -> None:
    child = Placeless()
    lab.launch = lambda *_: child
    lab.restart(Patience(training_s=0.5, otherwise_s=0.5))
    run = lab.trainings.start("cnn", LONG)
    # Three seconds, six times as long as a program may be silent.
    assert child.has_waited_long.wait(PATIENCE_S)
    assert lab.trainings.get(run.training_id).state is TrainingState.RUNNING
    assert lab.trainings.cancel(run.training_id).state is TrainingState.CANCELLED
