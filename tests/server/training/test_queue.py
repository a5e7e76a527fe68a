"""The queue of training runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.database import open_database
from server.datasets import DataPreparation
from server.errors import (
    DataPreparing,
    InvalidOption,
    ShuttingDown,
    TrainingFinished,
    TrainingNotFound,
    TrainingQueueFull,
)
from server.models import ModelStore
from server.protocol import Phase
from server.training import MAX_WAITING, Trainings, TrainingState

# Two seconds are promised; this much is for a machine that is busy with other things. The runs take minutes.
CANCEL_WITHIN_S = 20.0


def test_one_trains_eight_wait_in_order_and_the_next_is_refused(lab: Any, quick: dict[str, object]) -> None:
    first = lab.trainings.start("classic", quick)
    lab.wait_until(first.training_id, lambda run: run.state is TrainingState.RUNNING)
    waiting = [lab.trainings.start("classic", quick | {"seed": seed}) for seed in range(MAX_WAITING)]
    assert [run.queue_position for run in waiting] == list(range(1, MAX_WAITING + 1))
    with pytest.raises(TrainingQueueFull):
        lab.trainings.start("classic", quick)
    runs, total = lab.trainings.list(0, 100)
    assert total == 1 + MAX_WAITING
    assert [run.training_id for run in runs] == [run.training_id for run in (*reversed(waiting), first)]

    # One that waits can be cancelled at once, and the ones behind it move up.
    cancelled = lab.trainings.cancel(waiting[0].training_id)
    assert cancelled.state is TrainingState.CANCELLED
    assert cancelled.queue_position == 0
    assert lab.trainings.get(waiting[1].training_id).queue_position == 1
    assert lab.trainings.start("classic", quick).queue_position == MAX_WAITING

    # When the first ends, the next one trains.
    lab.trainings.cancel(first.training_id)
    lab.wait_until(waiting[1].training_id, lambda run: run.state is TrainingState.RUNNING)
    assert lab.trainings.get(waiting[2].training_id).queue_position == 1
    assert not lab.versions


def test_pages_of_runs_are_newest_first(lab: Any, quick: dict[str, object]) -> None:
    ids = [lab.trainings.start("classic", quick).training_id for _ in range(5)]
    page, total = lab.trainings.list(1, 2)
    assert total == 5
    assert [run.training_id for run in page] == [ids[3], ids[2]]
    assert lab.trainings.list(5, 2) == ((), 5)


def test_the_same_request_id_gives_the_same_run(lab: Any, quick: dict[str, object]) -> None:
    first = lab.trainings.start("classic", quick, request_id="page-1")
    again = lab.trainings.start("cnn", {}, request_id="page-1")
    other = lab.trainings.start("classic", quick, request_id="page-2")
    assert again.training_id == first.training_id
    assert again.recipe == "classic"
    assert other.training_id != first.training_id
    lab.trainings.cancel(first.training_id)
    assert lab.trainings.start("classic", quick, request_id="page-1").state is TrainingState.CANCELLED


def test_requests_without_an_id_each_start_a_run(lab: Any, quick: dict[str, object]) -> None:
    ids = {lab.trainings.start("classic", quick, request_id=none).training_id for none in (None, "", None)}
    assert len(ids) == 3


def test_an_impossible_option_starts_nothing(lab: Any) -> None:
    with pytest.raises(InvalidOption, match=r"options\.epochs"):
        lab.trainings.start("classic", {"epochs": 0})
    assert lab.trainings.list(0, 10) == ((), 0)


def test_an_unknown_run_is_not_found(lab: Any) -> None:
    for method in (lab.trainings.get, lab.trainings.cancel):
        with pytest.raises(TrainingNotFound):
            method("no-such-run")


def test_a_run_is_cancelled_at_once_while_it_starts(
    lab: Any, quick: dict[str, object], child: Callable[[], psutil.Process]
) -> None:
    run = lab.trainings.start("classic", {**quick, "epochs": 200})
    process = child()
    started = time.monotonic()
    cancelled = lab.trainings.cancel(run.training_id)
    assert time.monotonic() - started < CANCEL_WITHIN_S
    assert cancelled.state is TrainingState.CANCELLED
    assert cancelled.ended is not None
    assert cancelled.failure_reason == ""
    assert not process.is_running()
    assert lab.staged == []


def test_a_run_is_cancelled_at_once_while_it_trains(lab: Any) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_for_phase(run.training_id, Phase.TRAINING)
    started = time.monotonic()
    assert lab.trainings.cancel(run.training_id).state is TrainingState.CANCELLED
    assert time.monotonic() - started < CANCEL_WITHIN_S
    assert lab.staged == []
    assert lab.store.list() == ()
    with pytest.raises(TrainingFinished, match="has been cancelled already"):
        lab.trainings.cancel(run.training_id)


def test_subscribers_hear_of_every_change_until_they_leave(lab: Any, quick: dict[str, object]) -> None:
    heard: list[str] = []
    has_ended = threading.Event()

    def listen(training_id: str) -> None:
        heard.append(training_id)
        if lab.trainings.get(training_id).state.is_final:
            has_ended.set()

    def listen_badly(training_id: str) -> None:
        raise RuntimeError("a subscriber of no use")

    lab.trainings.subscribe(listen_badly)
    unsubscribe = lab.trainings.subscribe(listen)
    run = lab.trainings.start("classic", quick)
    lab.trainings.cancel(run.training_id)
    assert has_ended.wait(60)
    assert set(heard) == {run.training_id}
    unsubscribe()
    unsubscribe()  # To leave twice is no fault.
    heard.clear()
    lab.trainings.cancel(lab.trainings.start("classic", quick).training_id)
    assert heard == []


def test_nothing_is_started_while_the_digits_are_being_prepared(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'digits.db'}")
    with DataPreparation(tmp_path / "datasets") as data:
        trainings = Trainings(database, ModelStore(tmp_path / "models"), data, tmp_path, lambda *_: None)
        with pytest.raises(DataPreparing):
            trainings.start("classic", {})
        assert trainings.list(0, 10) == ((), 0)
        trainings.close()
    database.dispose()


def test_nothing_is_started_after_the_end(lab: Any, quick: dict[str, object]) -> None:
    lab.trainings.close()
    with pytest.raises(ShuttingDown):
        lab.trainings.start("classic", quick)
