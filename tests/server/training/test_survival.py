"""What happens to a run when something dies: its child, the server, the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.datasets import Partition
from server.models import ModelStore
from server.protocol import Phase
from server.training import TrainingState


def test_a_killed_child_fails_its_run_in_words_and_the_next_one_trains(
    lab: Any, quick: dict[str, object], child: Callable[[], psutil.Process]
) -> None:
    first = lab.trainings.start("classic", quick)
    second = lab.trainings.start("classic", quick)
    child().send_signal(signal.SIGKILL)
    ended = lab.wait_for_end(first.training_id)
    assert ended.state is TrainingState.FAILED
    assert "the training program was killed (SIGKILL)" in ended.failure_reason
    assert "start again" in ended.failure_reason
    assert lab.staged == [] or lab.staged[0].name == second.training_id

    # The classic, once over all it is given: no digits are kept aside.
    ended = lab.wait_for_end(second.training_id)
    assert ended.state is TrainingState.SUCCEEDED, ended.failure_reason
    version = lab.store.get(ended.model_version)
    assert version.train_images == 4000
    assert version.train_partitions == (Partition.BUILTIN_TRAIN, Partition.BUILTIN_VALIDATION)
    assert version.validation_partitions == ()
    assert version.validation_accuracy is None
    assert ended.history[0].validation_accuracy is None
    assert lab.versions == [(ended.model_version, False)]


def test_a_run_that_a_dead_server_left_has_failed_and_what_waited_goes_on(
    lab: Any, quick: dict[str, object]
) -> None:
    running = lab.trainings.start("classic", quick)
    waiting = [lab.trainings.start("classic", quick | {"seed": seed}) for seed in (1, 2)]
    lab.wait_until(running.training_id, lambda run: run.state is TrainingState.RUNNING)
    lab.restart()
    failed = lab.trainings.get(running.training_id)
    assert failed.state is TrainingState.FAILED
    assert failed.failure_reason == "the server stopped while it ran; start it again"
    assert failed.ended is not None
    lab.wait_until(waiting[0].training_id, lambda run: run.state is TrainingState.RUNNING)
    assert lab.trainings.get(waiting[1].training_id).queue_position == 1


def test_a_killed_server_takes_its_child_along_and_its_run_has_failed(
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
        trainings = Trainings(database, ModelStore(folder / "models"), data, folder / "logs", lambda *_: None)
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
    server.kill()
    server.wait(10)
    server.stdout.close()
    _wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, timeout_s=5)

    lab.restart()
    run = lab.trainings.get(training_id)
    assert run.state is TrainingState.FAILED
    assert "the server stopped while it ran" in run.failure_reason


def test_closing_ends_the_child_and_leaves_no_thread(
    lab: Any, quick: dict[str, object], child: Callable[[], psutil.Process]
) -> None:
    run = lab.trainings.start("classic", quick)
    process = child()
    started = time.monotonic()
    lab.trainings.close()
    assert time.monotonic() - started < 2.0
    assert not process.is_running()
    assert lab.trainings.get(run.training_id).state is TrainingState.FAILED
    assert lab.staged == []


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
