"""A replica follows the announcements of a shared model folder, whatever state it finds it in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server import replica as module
from server.config import read_config
from server.errors import NothingDeployed
from server.models import ModelStore
from server.replica import Replica

PATIENCE_S = 60.0


@pytest.fixture
def owner(tmp_path: Path, save: Callable[..., Any], regression: Any, beginner: Any) -> ModelStore:
    """The store of the server that owns the data, with two versions and nothing announced."""
    (tmp_path / "data").mkdir()
    store = ModelStore(tmp_path / "data" / "models")
    save(store, regression)
    save(store, beginner)
    return store


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Replica]]:
    """`start()`: a replica of the folder."""
    replicas: list[Replica] = []

    def make() -> Replica:
        replicas.append(Replica(read_config({"DIGITS_DATA": str(tmp_path / "data")}, is_replica=True)))
        return replicas[-1]

    yield make
    for replica in replicas:
        replica.close()


def wait_for(replica: Replica, version: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while replica.deployed != version:
        assert time.monotonic() < deadline, f"expected version {version}, got {replica.deployed}"
        time.sleep(0.01)


def test_it_serves_what_was_announced_before_it_started(owner: ModelStore, start: Any) -> None:
    owner.announce_deployed(2)
    replica = start()
    assert replica.deployed == 2
    assert replica.version(None).version == 2
    assert replica.evaluation(replica.version(2)).metrics is replica.version(2).metrics


def test_it_follows_every_announcement(owner: ModelStore, start: Any) -> None:
    owner.announce_deployed(1)
    replica = start()
    for version in (2, 1, 2):
        owner.announce_deployed(version)
        wait_for(replica, version)


def test_it_may_start_before_the_folder_exists(tmp_path: Path, start: Any, request: Any) -> None:
    replica = start()
    assert replica.deployed is None
    assert replica.store.list() == ()
    with pytest.raises(NothingDeployed):
        replica.version(None)
    assert not (tmp_path / "data").exists()
    owner: ModelStore = request.getfixturevalue("owner")
    owner.announce_deployed(1)
    wait_for(replica, 1)


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_is_tried_again(
    owner: ModelStore, start: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.1)
    owner.announce_deployed(1)
    replica = start()
    artifact = owner.artifact_path(2)
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[:-1])
    owner.announce_deployed(2)
    deadline = time.monotonic() + PATIENCE_S
    while "version not loaded" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert replica.deployed == 1
    artifact.write_bytes(whole)
    wait_for(replica, 2)


def test_it_answers_nothing_once_that_is_announced_until_a_version_is(owner: ModelStore, start: Any) -> None:
    owner.announce_deployed(1)
    replica = start()
    owner.announce_deployed(None)
    deadline = time.monotonic() + PATIENCE_S
    while replica.deployed is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(NothingDeployed):
        replica.version(None)
    owner.announce_deployed(2)
    wait_for(replica, 2)


def test_a_file_that_names_no_version_changes_nothing(owner: ModelStore, start: Any, tmp_path: Path) -> None:
    owner.announce_deployed(1)
    replica = start()
    (tmp_path / "data" / "models" / "deployed").write_text("nonsense")
    replica._look()
    assert replica.deployed == 1


def test_a_deleted_version_goes_from_its_memory_and_stays_there_while_all_of_the_folder_is_away(
    owner: ModelStore, start: Any, tmp_path: Path, save: Callable[..., Any], regression: Any
) -> None:
    save(owner, regression)
    owner.announce_deployed(1)
    replica = start()
    for version in (2, 3):
        replica.engines.load(version)
    models = tmp_path / "data" / "models"
    models.rename(tmp_path / "away")
    replica._let_go_of_deleted()
    assert [replica.engines.is_loaded(version) for version in (1, 2, 3)] == [True, True, True]
    (tmp_path / "away").rename(models)
    owner.delete(2)
    deadline = time.monotonic() + PATIENCE_S
    while replica.engines.is_loaded(2):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert replica.engines.is_loaded(3)


def test_it_looks_often_enough_to_follow_within_a_second() -> None:
    assert module.LOOK_EVERY_S <= 0.5
