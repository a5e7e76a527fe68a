"""What happens to a run when something dies: its child, the server, the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest
from sqlalchemy import update

from server import networks
from server.database import trainings
from server.datasets import DataPreparation, Partition
from server.errors import TrainingFinished, TrainingWaiting
from server.models import ModelStore
from server.protocol import EpochMetrics, Phase
from server.recipes import RECIPES
from server.trainer.checkpoint import Checkpoint, Checkpoints
from server.trainer.passes import make_optimizer
from server.training import MAX_RESUMES, Patience, TrainingRun, TrainingState

# Enough for TensorFlow's own threads and graphs.
SPARE_BYTES = 200_000_000


def test_a_killed_child_goes_on_after_its_last_epoch_and_ends_as_if_nothing_had_happened(
    lab: Any, as_watched: dict[str, object], watched: Any, child: Callable[[], psutil.Process]
) -> None:
    run = lab.trainings.start("cnn", as_watched)
    lab.wait_for_epoch(run.training_id, 1)
    child().send_signal(signal.SIGKILL)
    resumed = lab.wait_until(run.training_id, lambda run: run.resumes == 1)
    assert resumed.state is TrainingState.RUNNING
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    assert ended.resumes == 1
    assert without_durations(ended.history) == without_durations(watched.ended.history)
    assert weights(lab, ended) == weights(watched.lab, watched.ended)
    assert lab.store.get(1).metrics.accuracy == watched.lab.store.get(1).metrics.accuracy
    assert not (lab.folder / "checkpoints" / run.training_id).exists()


def test_a_restarted_server_goes_on_after_the_last_epoch_with_the_same_result(
    lab: Any, as_watched: dict[str, object], watched: Any, child: Callable[[], psutil.Process]
) -> None:
    run = lab.trainings.start("cnn", as_watched)
    waiting = lab.trainings.start("classic", {"epochs": 1})
    lab.wait_for_epoch(run.training_id, 1)
    process = child()
    lab.trainings.close()
    assert not process.is_running()
    left = lab.trainings.get(run.training_id)
    assert (left.state, left.failure_reason) == (TrainingState.RUNNING, "")
    assert lab.staged == []

    # What an orderly end and a crash leave differs in one word of the row.
    lab.crash()
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    # What waited still waits behind it.
    assert lab.trainings.get(waiting.training_id).queue_position == 1
    lab.trainings.cancel(waiting.training_id)
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    assert (ended.resumes, ended.started) == (1, left.started)
    assert ended.progress.elapsed_s > left.progress.elapsed_s
    assert without_durations(ended.history) == without_durations(watched.ended.history)
    assert weights(lab, ended) == weights(watched.lab, watched.ended)


def test_a_child_that_is_killed_again_and_again_fails_its_run_in_words_and_the_next_one_trains(
    lab: Any, quick: dict[str, object], child: Callable[[], psutil.Process]
) -> None:
    first = lab.trainings.start("classic", quick)
    second = lab.trainings.start("classic", quick)
    for resumes in range(MAX_RESUMES + 1):
        lab.wait_until(first.training_id, lambda run, resumes=resumes: run.resumes == resumes)
        child().send_signal(signal.SIGKILL)
        if resumes < MAX_RESUMES:
            lab.wait_until(first.training_id, lambda run, resumes=resumes: run.resumes > resumes)
    ended = lab.wait_for_end(first.training_id)
    assert ended.state is TrainingState.FAILED
    assert "the training program was killed (SIGKILL)" in ended.failure_reason
    assert "start again" in ended.failure_reason
    assert f"it had gone on by itself {MAX_RESUMES} times" in ended.failure_reason
    assert lab.staged == [] or lab.staged[0].name == second.training_id

    # The classic, once over all it is given: no digits are kept aside.
    ended = lab.wait_for_end(second.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    version = lab.store.get(ended.model_version)
    assert version.train_images == 4000
    assert version.train_partitions == (Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION)
    assert version.validation_partitions == ()
    assert version.validation_accuracy is None
    assert (version.temperature, version.uncertain_below) == (1.0, 0.5)
    assert ended.history[0].validation_accuracy is None
    assert lab.versions == [(ended.model_version, False)]


def test_a_run_that_servers_leave_again_and_again_has_failed(lab: Any, quick: dict[str, object]) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    for resumes in range(MAX_RESUMES + 1):
        left = lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
        assert left.resumes == resumes
        lab.crash()
    failed = lab.trainings.get(run.training_id)
    assert failed.state is TrainingState.FAILED
    assert "the server stopped while it ran" in failed.failure_reason
    assert "start it again" in failed.failure_reason
    assert failed.ended is not None


def test_orderly_ends_of_the_server_never_count_against_a_run(lab: Any) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    waiting = lab.trainings.start("classic", {"epochs": 1})
    for _ in range(MAX_RESUMES + 2):
        left = lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
        assert (left.resumes, left.failure_reason) == (0, "")
        # What waited still waits behind it.
        assert lab.trainings.get(waiting.training_id).queue_position == 1
        lab.restart()
    lab.trainings.cancel(waiting.training_id)
    lab.trainings.cancel(run.training_id)


def test_what_a_killed_child_has_left_is_gone_after_the_next_start(lab: Any) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    lab.trainings.cancel(run.training_id)
    # As it is when the server is killed with its child, and the run has ended before another child begins.
    scratch = lab.folder / "logs" / f"{run.training_id}.tmp"
    scratch.mkdir()
    (scratch / "compiled").write_text("of a library")
    lab.restart()
    assert not scratch.exists()


def test_a_killed_server_takes_its_child_along_and_the_next_one_goes_on(
    lab: Any, tmp_path: Path, builtin_root: Path
) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from server.database import open_database
        from server.datasets import DataPreparation
        from server.models import ModelStore
        from server.training import Trainings

        folder, datasets = Path(sys.argv[1]), Path(sys.argv[2])
        data = DataPreparation(datasets)
        data.wait(60)
        database = open_database(f"sqlite:///{folder / 'digits.db'}")
        trainings = Trainings(database, ModelStore(folder / "models"), data, folder, lambda *_: None)
        print(trainings.start("cnn", {"epochs": 200}).training_id, flush=True)
        time.sleep(600)
        """
    )
    lab.trainings.close()  # That server has the data directory to itself.
    server = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path, builtin_root], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    training_id = server.stdout.readline().strip()
    child = _wait_for(lambda: _training_child(server.pid))
    _wait_for(lambda: (tmp_path / "checkpoints" / training_id / "checkpoint.npz").exists(), timeout_s=600)
    server.kill()
    server.wait(60)
    server.stdout.close()
    _wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, timeout_s=60)

    lab.restart()
    lab.wait_until(training_id, lambda run: run.state is TrainingState.RUNNING)
    run = lab.wait_until(training_id, lambda run: run.progress.batch > 0)
    assert run.resumes == 1
    # Whether or not that server had heard of the epoch that its child had saved.
    assert len(run.history) >= 1
    assert run.progress.epoch >= 2
    lab.trainings.cancel(training_id)
    assert not (lab.folder / "checkpoints" / training_id).exists()


def test_a_child_that_hangs_is_ended_and_its_run_fails_in_words(
    lab: Any, child: Callable[[], psutil.Process]
) -> None:
    lab.restart(Patience(training_s=3.0, otherwise_s=120.0))
    run = lab.trainings.start("cnn", {"epochs": 200})
    lab.wait_until(run.training_id, lambda run: run.progress is not None and run.progress.batch > 0)
    process = child()
    process.suspend()
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "made no progress for 3 s" in ended.failure_reason
    assert "start again" in ended.failure_reason
    assert not process.is_running()
    assert lab.staged == []
    assert ended.resumes == 0


def test_a_child_that_hangs_while_it_starts_is_given_more_time_but_not_for_ever(
    lab: Any, child: Callable[[], psutil.Process]
) -> None:
    lab.restart(Patience(training_s=60.0, otherwise_s=2.0))
    run = lab.trainings.start("cnn", {"epochs": 200})
    process = child()
    process.suspend()
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "made no progress for 2 s" in ended.failure_reason
    assert not process.is_running()


def test_a_full_disk_while_an_epoch_is_saved_fails_the_run_in_words(lab: Any) -> None:
    run = lab.trainings.start("classic-fast", {})
    folder = lab.folder / "checkpoints" / run.training_id
    folder.mkdir(parents=True)
    # The device that is always full: a real fault of a real write.
    (folder / "checkpoint.partial").symlink_to("/dev/full")
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert ended.failure_reason == "the disk is full; free some space in the data folder and start again"
    assert lab.staged == []
    assert not folder.exists()


def test_a_child_that_runs_out_of_memory_fails_its_run_in_words(
    lab: Any, child: Callable[[], psutil.Process]
) -> None:
    run = lab.trainings.start("cnn", {"epochs": 200, "batch_size": 2048})
    lab.wait_until(run.training_id, lambda run: run.device)
    process = child()
    # TensorFlow is there; for the maps of 2,048 images there is no room.
    limit = process.memory_info().vms + SPARE_BYTES
    process.rlimit(psutil.RLIMIT_AS, (limit, limit))
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "memory" in ended.failure_reason
    assert "smaller batch size" in ended.failure_reason
    assert lab.staged == []


def test_a_loss_that_is_no_number_ends_the_run_at_once(lab: Any) -> None:
    run = lab.trainings.start("classic-fast", {"epochs": 200})
    # No options in their range make a loss overflow: the run goes on from weights that already have.
    keras.utils.set_random_seed(1)
    model = networks.build(run.options)
    model.set_weights([np.full_like(one, np.nan) for one in model.get_weights()])
    optimizer = make_optimizer(run.options, RECIPES[run.recipe].schedule, steps=1)
    optimizer.build(model.trainable_variables)
    source = lab.data.data().source
    fingerprint = {"recipe": run.recipe, "options": run.options.to_json(), "data": source.sha256}
    folder = lab.folder / "checkpoints" / run.training_id
    first = EpochMetrics(
        epoch=1, loss=1.0, accuracy=0.1, validation_loss=1.0, validation_accuracy=0.1, duration_s=1.0
    )
    Checkpoints(folder, fingerprint).save(model, optimizer, Checkpoint((first,), 1, model.get_weights()))
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "not a number in epoch 2" in ended.failure_reason
    assert "start again with a learning rate lower than" in ended.failure_reason
    assert ended.resumes == 0
    assert lab.staged == []
    assert not folder.exists()


@pytest.fixture(scope="module")
def stopped(
    tmp_path_factory: pytest.TempPathFactory, preparation: DataPreparation, new_lab: Callable[..., Any]
) -> Iterator[Any]:
    """A data directory with a long run that was stopped after two epochs, and what stopping it gave."""
    lab = new_lab(tmp_path_factory.mktemp("stopped"), preparation)
    run = lab.trainings.start("classic-fast", {"epochs": 200})
    lab.wait_for_epoch(run.training_id, 2)
    yield lab, lab.trainings.stop(run.training_id), lab.wait_for_end(run.training_id)
    lab.close()


def test_stopping_keeps_the_best_epoch_as_a_version(stopped: Any) -> None:
    lab, stopping, ended = stopped
    assert (stopping.state, stopping.stopped_early) == (TrainingState.RUNNING, True)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    assert ended.stopped_early
    assert 2 <= len(ended.history) < 200
    best = max(metrics.validation_accuracy for metrics in ended.history)
    assert lab.store.get(ended.model_version).validation_accuracy == best


def test_a_run_that_has_ended_cannot_be_stopped(stopped: Any) -> None:
    lab, _, ended = stopped
    with pytest.raises(TrainingFinished, match="nothing left to stop"):
        lab.trainings.stop(ended.training_id)


def test_a_version_that_was_put_in_place_when_the_server_died_is_the_runs_result(stopped: Any) -> None:
    lab, _, ended = stopped
    # As the row is when the server dies after the version was renamed into place.
    with lab.database.begin() as connection:
        connection.execute(update(trainings).values(state="running", ended=None, model_version=None))
    lab.restart()
    again = lab.trainings.get(ended.training_id)
    assert (again.state, again.model_version) == (TrainingState.SUCCEEDED, ended.model_version)
    assert len(lab.store.list()) == 1


def test_a_run_that_is_stopped_before_its_first_epoch_finishes_that_one(lab: Any) -> None:
    run = lab.trainings.start("classic-fast", {"epochs": 200})
    waiting = lab.trainings.start("classic-fast", {})
    with pytest.raises(TrainingWaiting, match="CancelTraining"):
        lab.trainings.stop(waiting.training_id)
    lab.trainings.cancel(waiting.training_id)
    lab.wait_until(run.training_id, lambda run: run.state is TrainingState.RUNNING)
    lab.trainings.stop(run.training_id)
    # What was asked of a server is done by the next one.
    lab.restart()
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    assert (len(ended.history), ended.stopped_early) == (1, True)


def test_a_version_that_cannot_be_written_fails_its_run_and_leaves_nothing(lab: Any) -> None:
    run = lab.trainings.start("classic", {"epochs": 3, "batch_size": 256})
    lab.wait_for_phase(run.training_id, Phase.TRAINING)
    staging = lab.staged[0]
    staging.rmdir()
    staging.write_text("a disk fault: the folder is none any more")
    ended = lab.wait_for_end(run.training_id)
    assert ended.state is TrainingState.FAILED
    assert "file" in ended.failure_reason
    assert "start again" in ended.failure_reason
    assert lab.store.list() == ()
    assert not lab.versions
    staging.unlink(missing_ok=True)


def test_a_full_disk_while_the_version_is_put_in_place_fails_the_run(
    lab: Any, quick: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(store: ModelStore, staging: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ModelStore, "commit", no_space)
    ended = lab.wait_for_end(lab.trainings.start("classic", quick).training_id)
    assert ended.state is TrainingState.FAILED
    assert ended.failure_reason == "the disk is full; free some space in the data folder and start again"
    assert lab.staged == []
    assert lab.store.list() == ()


def without_durations(history: tuple[EpochMetrics, ...]) -> list[EpochMetrics]:
    """What an epoch reached, not how long it took."""
    return [replace(metrics, duration_s=0.0) for metrics in history]


def weights(lab: Any, run: TrainingRun) -> list[bytes]:
    """The weights of a run's version, to the bit."""
    path = lab.folder / "models" / f"{run.model_version:06d}" / "model.keras"
    return [array.tobytes() for array in keras.saving.load_model(path).get_weights()]


def _training_child(pid: int) -> psutil.Process | None:
    found = [one for one in psutil.Process(pid).children() if "server.trainer" in one.cmdline()]
    return found[0] if found else None


def _wait_for(look: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """What `look` gives, once that is something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return found
