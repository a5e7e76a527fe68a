"""A training whose version cannot be published: it waits, and the next server goes on with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_s3 import LiveS3
from scripted_training import Script
from training_lab import Lab

from server.datasets import DataPreparation
from server.models import ModelStore, SharedArtifacts
from server.protocol import TrainingSpec
from server.training import TrainingState

PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what should come did not"
        time.sleep(0.02)


@pytest.fixture
def lab(
    tmp_path: Path, builtin_root: Path, complete: Callable[..., Path], regression: Any, s3_url: str
) -> Iterator[Lab]:
    """A data directory whose versions are shared, with trainings that are done at once."""

    def write_version(spec: TrainingSpec) -> None:
        complete(spec.staging, regression, training_id=spec.training_id)

    with DataPreparation(builtin_root) as preparation:
        preparation.wait(PATIENCE_S)
        lab = Lab(tmp_path, preparation, launch=Script(write_version))
        open_store(lab, s3_url)
        lab.restart()
        yield lab
        lab.store.close()
        lab.close()


def open_store(lab: Lab, url: str) -> None:
    lab.store = ModelStore(lab.folder / "models", shared=SharedArtifacts(url))
    lab.store.catch_up()


def test_a_run_is_finished_once_the_place_is_back(lab: Lab, s3: LiveS3, caplog: Any) -> None:
    s3.stop()
    run = lab.trainings.start("cnn", {"epochs": 1})
    wait_until(lambda: "shared artifacts not reached" in caplog.text)
    assert lab.trainings.get(run.training_id).state is TrainingState.RUNNING
    s3.start()
    ended = lab.wait_for_end(run.training_id)
    assert (ended.state, ended.model_version) == (TrainingState.SUCCEEDED, 1)


def test_a_server_that_goes_down_meanwhile_ends_soon_and_the_next_one_finishes_the_run(
    lab: Lab, s3: LiveS3, s3_url: str, caplog: Any
) -> None:
    s3.stop()
    run = lab.trainings.start("cnn", {"epochs": 1})
    wait_until(lambda: "shared artifacts not reached" in caplog.text)
    lab.store.close()
    lab.trainings.close()
    assert lab.store.list() == ()

    s3.start()
    open_store(lab, s3_url)
    lab.restart()
    ended = lab.wait_for_end(run.training_id)
    assert (ended.state, ended.model_version, ended.resumes) == (TrainingState.SUCCEEDED, 1, 0)
    assert SharedArtifacts(s3_url).numbers() == {1}
