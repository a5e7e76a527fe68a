"""A training run from its start to its version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from server.calibration import fit_temperature
from server.datasets import Dataset, Partition
from server.errors import TrainingFinished
from server.inference import Engine
from server.protocol import Phase
from server.training import TrainingState


def test_it_goes_from_queued_to_succeeded(watched: Any) -> None:
    assert watched.started.state is TrainingState.QUEUED
    states = [run.state for run in watched.snapshots]
    assert list(dict.fromkeys(states)) == [
        TrainingState.QUEUED,
        TrainingState.RUNNING,
        TrainingState.SUCCEEDED,
    ]
    run = watched.ended
    assert run.created <= run.started <= run.ended <= datetime.now(UTC)
    assert run.failure_reason == ""
    assert run.data_source == watched.lab.data.data().source


def test_it_keeps_its_options(watched: Any) -> None:
    assert (watched.ended.recipe, watched.ended.options.epochs, watched.ended.options.seed) == ("cnn", 2, 5)
    assert watched.ended.deploy_when_done


def test_progress_goes_through_every_phase_and_is_silent_in_none(watched: Any) -> None:
    phases = [run.progress.phase for run in watched.snapshots if run.progress]
    assert list(dict.fromkeys(phases)) == [Phase.STARTING, Phase.TRAINING, Phase.EVALUATING]
    assert all(phases.count(phase) >= 2 for phase in Phase)


def test_progress_counts_epochs_and_batches_upwards(watched: Any) -> None:
    training = [run.progress for run in watched.snapshots if run.progress and run.progress.batch]
    places = [(told.epoch, told.batch) for told in training]
    assert places == sorted(places)
    assert {told.epochs for told in training} == {2}
    assert {told.batches for told in training} == {28}  # 3,500 digits in batches of 125
    assert places[-1] == (2, 28)
    # A rate takes two calls into TensorFlow of 8 batches each.
    assert all(told.images_per_s > 0 for told in training if (told.epoch, told.batch) > (1, 8))


def test_elapsed_and_remaining_are_honest(watched: Any) -> None:
    told = [run.progress for run in watched.snapshots if run.progress]
    elapsed = [progress.elapsed_s for progress in told]
    assert elapsed == sorted(elapsed)
    run_s = (watched.ended.ended - watched.ended.started).total_seconds()
    assert elapsed[-1] <= run_s
    assert told[0].remaining_s is None
    assert told[-1].remaining_s == 0.0


def test_every_epoch_is_in_the_history(watched: Any) -> None:
    history = watched.ended.history
    assert [metrics.epoch for metrics in history] == [1, 2]
    assert history[1].loss < history[0].loss
    assert history[1].accuracy > 0.8
    assert all(metrics.validation_accuracy is not None for metrics in history)
    assert all(timedelta(0) < timedelta(seconds=metrics.duration_s) for metrics in history)
    assert watched.ended.progress.validation_accuracy == history[1].validation_accuracy


def test_it_leaves_its_log_and_no_temporary_files(watched: Any) -> None:
    logs = watched.lab.folder / "logs"
    assert [path.name for path in logs.iterdir()] == [f"{watched.ended.training_id}.log"]


def test_its_version_is_told_once_with_the_wish_to_deploy(watched: Any) -> None:
    assert watched.ended.model_version == 1
    assert watched.lab.versions == [(1, True)]


def test_it_keeps_how_its_version_did_at_the_gate(watched: Any) -> None:
    gate = watched.ended.gate
    assert (gate.passed, gate.serving_version) == (True, 7)
    assert watched.lab.trainings.get(watched.ended.training_id).gate == gate
    assert watched.lab.trainings.gate(watched.ended.training_id) == gate
    assert watched.lab.trainings.gate("of another server") is None


def test_its_version_says_what_it_was_made_from(watched: Any) -> None:
    version = watched.lab.store.get(1)
    run = watched.ended
    assert (version.recipe, version.training_id) == ("cnn", run.training_id)
    assert version.options == run.options.to_json()
    assert version.data_source == run.data_source
    assert version.train_partitions == (Partition.BUILTIN_TRAIN,)
    assert version.validation_partitions == (Partition.BUILTIN_VALIDATION,)
    assert (version.train_images, version.validation_images) == (3500, 500)
    assert version.test_dataset is Dataset.BUILTIN_TEST
    assert version.validation_accuracy == max(epoch.validation_accuracy for epoch in run.history)
    assert version.libraries["keras"]
    assert version.parameters < 1_000_000
    assert not version.is_shipped


def test_its_metrics_are_those_of_the_artifact_that_serves(watched: Any) -> None:
    version = watched.lab.store.get(1)
    test = watched.lab.data.data().split(use_all=False).test
    probabilities = Engine(watched.lab.store.artifact_path(1)).probabilities(test.images)
    np.testing.assert_allclose(watched.lab.store.probabilities(1), probabilities, atol=1e-5)
    assert version.metrics.images == 1000
    assert version.metrics.accuracy == (probabilities.argmax(axis=1) == test.labels).mean()
    assert version.metrics.accuracy > 0.8


def test_its_artifact_is_calibrated_on_the_validation_digits(watched: Any) -> None:
    version = watched.lab.store.get(1)
    validation = watched.lab.data.data().split(use_all=False).validation
    probabilities = Engine(watched.lab.store.artifact_path(1)).probabilities(validation.images)

    assert version.temperature != 1.0
    # In the artifact itself: nothing is left to divide by.
    assert fit_temperature(probabilities, validation.labels) == pytest.approx(1.0, abs=0.01)
    assert (probabilities.max(axis=1) >= version.uncertain_below - 1e-5).mean() >= 0.99
    assert version.metrics.expected_calibration_error < 0.1


def test_nothing_is_left_in_the_staging_area(watched: Any) -> None:
    assert watched.lab.staged == []


def test_what_the_child_printed_is_kept_as_the_runs_log(watched: Any) -> None:
    log = watched.lab.folder / "logs" / f"{watched.ended.training_id}.log"
    assert "tf2onnx" in log.read_text()


def test_a_run_that_has_ended_cannot_be_cancelled(watched: Any) -> None:
    with pytest.raises(TrainingFinished, match="has succeeded already"):
        watched.lab.trainings.cancel(watched.ended.training_id)


def test_it_is_told_the_same_after_a_restart(watched: Any) -> None:
    before = watched.lab.trainings.get(watched.ended.training_id)
    watched.lab.restart()
    assert watched.lab.trainings.get(watched.ended.training_id) == before
    assert before == watched.ended
