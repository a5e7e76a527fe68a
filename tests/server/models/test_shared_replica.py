"""A replica that has no folder with the owner: it follows through S3, and goes on when that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_s3 import LiveS3, SpoilingS3

from server import replica as module
from server.config import CannotStart, read_config
from server.models import Mirror, ModelStore, SharedArtifacts
from server.models import mirror as mirror_module
from server.replica import Replica

PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what should come did not"
        time.sleep(0.02)


@pytest.fixture
def owner(s3_url: str, open_owner: Callable[..., ModelStore], save: Any, regression: Any) -> ModelStore:
    """The store of the server that owns the versions 1 and 2, of which 1 was announced."""
    store = open_owner("owner", s3_url)
    save(store, regression, training_id="t1")
    save(store, regression, training_id="t2")
    store.announce_deployed(1)
    return store


@pytest.fixture
def start(tmp_path: Path, s3_url: str) -> Iterator[Callable[..., Replica]]:
    """`start(disk)`: a replica with a data folder of its own."""
    replicas: list[Replica] = []

    def make(disk: str = "replica", url: str = s3_url) -> Replica:
        settings = {"DIGITS_DATA": str(tmp_path / disk), "DIGITS_ARTIFACTS_URL": url}
        replicas.append(Replica(read_config(settings, is_replica=True)))
        return replicas[-1]

    yield make
    for replica in replicas:
        replica.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas that look many times a second."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.05)
    monkeypatch.setattr(mirror_module, "LIST_EVERY_S", 0.1)


def test_it_has_every_version_soon_and_the_announced_one_at_once(
    owner: ModelStore, start: Callable[..., Replica]
) -> None:
    replica = start()
    assert replica.deployed == 1
    assert replica.version(None).training_id == "t1"
    wait_until(lambda: [version.version for version in replica.store.list()] == [1, 2])
    assert replica.store.damage(2) is None


def test_it_follows_to_a_new_version_to_none_and_back(
    owner: ModelStore, start: Callable[..., Replica], save: Any, regression: Any
) -> None:
    replica = start()
    owner.announce_deployed(save(owner, regression, training_id="t3").version)
    wait_until(lambda: replica.deployed == 3)
    owner.announce_deployed(None)
    wait_until(lambda: replica.deployed is None)
    owner.announce_deployed(2)
    wait_until(lambda: replica.deployed == 2)


def test_a_deleted_version_goes_from_its_folder_and_memory(
    owner: ModelStore, start: Callable[..., Replica], tmp_path: Path
) -> None:
    replica = start()
    wait_until(lambda: replica.store.numbers() == [1, 2])
    replica.engines.load(2)
    owner.delete(2)
    wait_until(lambda: replica.store.numbers() == [1])
    wait_until(lambda: not replica.engines.is_loaded(2))
    assert replica.deployed == 1
    wait_until(lambda: list((tmp_path / "replica" / "cache" / "models" / ".staging").iterdir()) == [])


def test_while_the_place_is_away_it_goes_on_and_starts_with_what_it_followed_last(
    owner: ModelStore, start: Callable[..., Replica], s3: LiveS3, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    replica = start()
    s3.stop()
    wait_until(lambda: "shared artifacts not reached; going on without" in caplog.text)
    assert replica.deployed == 1
    assert start().deployed == 1
    nothing = start("a new disk")
    assert nothing.deployed is None
    s3.start()
    wait_until(lambda: nothing.deployed == 1)
    wait_until(lambda: "shared artifacts reached again" in caplog.text)
    owner.announce_deployed(2)
    wait_until(lambda: replica.deployed == 2)


def test_a_version_damaged_in_the_place_is_refused_and_the_one_before_answers(
    owner: ModelStore, start: Callable[..., Replica], s3_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    objects = SharedArtifacts(s3_url)._objects
    name = f"files/000002/{objects.names('files/000002')[-1]}"
    objects.write(name, b"damaged")
    replica = start()
    owner.announce_deployed(2)
    wait_until(lambda: "version not loaded" in caplog.text)
    assert replica.deployed == 1
    assert replica.store.numbers() == [1]


def test_a_copy_that_is_damaged_is_fetched_anew(
    owner: ModelStore, start: Callable[..., Replica], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.1)
    replica = start()
    wait_until(lambda: replica.store.numbers() == [1, 2])
    (tmp_path / "replica" / "cache" / "models" / "000002" / "model.onnx").write_bytes(b"damaged")
    owner.announce_deployed(2)
    wait_until(lambda: replica.deployed == 2)


def test_it_follows_to_a_version_whose_fetch_broke_off_once_the_place_is_well_again(
    quick: None,
    owner: ModelStore,
    spoiling: SpoilingS3,
    start: Callable[..., Replica],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    spoiling.breaks_off = "files/000002"
    replica = start()
    owner.announce_deployed(2)
    # More than one try: it looks again after the first.
    wait_until(lambda: caplog.text.count("version not loaded") >= 2)
    assert replica.deployed == 1
    assert replica.store.numbers() == [1]
    assert "bug" not in caplog.messages
    spoiling.breaks_off = None
    wait_until(lambda: replica.deployed == 2)


@pytest.mark.parametrize("what", ["/deployed", "files/000001"])
def test_it_starts_though_an_answer_breaks_off_and_follows_later(
    quick: None, owner: ModelStore, spoiling: SpoilingS3, start: Callable[..., Replica], what: str
) -> None:
    spoiling.breaks_off = what
    replica = start()
    assert replica.deployed is None
    spoiling.breaks_off = None
    wait_until(lambda: replica.deployed == 1)


def test_a_bug_does_not_end_its_following_and_is_told_once(
    quick: None,
    owner: ModelStore,
    start: Callable[..., Replica],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica, met = start(), []

    def broken(self: SharedArtifacts) -> int:
        met.append(True)
        raise TypeError("nobody foresaw this")

    with monkeypatch.context() as spoilt:
        spoilt.setattr(SharedArtifacts, "announced", broken)
        wait_until(lambda: len(met) >= 3)
    bugs = [record for record in caplog.records if record.getMessage() == "bug"]
    assert [record.levelname for record in bugs] == ["ERROR"]
    assert "nobody foresaw this" in caplog.text
    owner.announce_deployed(2)
    wait_until(lambda: replica.deployed == 2)


def test_a_deleted_version_goes_from_memory_though_another_cannot_be_fetched(
    quick: None,
    owner: ModelStore,
    spoiling: SpoilingS3,
    start: Callable[..., Replica],
    save: Any,
    regression: Any,
) -> None:
    replica = start()
    wait_until(lambda: replica.store.numbers() == [1, 2])
    replica.engines.load(2)
    spoiling.breaks_off = "files/000003"
    save(owner, regression, training_id="t3")
    owner.delete(2)
    wait_until(lambda: not replica.engines.is_loaded(2))


def test_a_version_that_could_not_be_fetched_is_tried_again_after_a_while(
    owner: ModelStore, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "LIST_EVERY_S", 0.0)
    shared = SharedArtifacts(s3_url)
    name = f"files/000002/{shared._objects.names('files/000002')[-1]}"
    whole = shared._objects.read(name)
    assert whole
    shared._objects.write(name, b"damaged")
    mirror, copy = Mirror(tmp_path / "copy", shared), ModelStore(tmp_path / "copy", is_read_only=True)
    for _ in range(2):
        mirror.agree()
    assert copy.numbers() == [1]
    shared._objects.write(name, whole)
    mirror.agree()
    assert copy.numbers() == [1]
    monkeypatch.setattr(mirror_module, "LEFT_OUT_S", 0.0)
    mirror.agree()
    assert copy.numbers() == [1, 2]


def test_a_copy_that_somebody_emptied_is_fetched_anew(
    quick: None, owner: ModelStore, start: Callable[..., Replica], tmp_path: Path
) -> None:
    replica = start()
    wait_until(lambda: replica.store.numbers() == [1, 2])
    (tmp_path / "replica" / "cache" / "models").rename(tmp_path / "away")
    wait_until(lambda: replica.store.numbers() == [1, 2])


def test_a_note_of_what_it_followed_that_cannot_be_read_is_none(
    owner: ModelStore, start: Callable[..., Replica], s3: LiveS3, tmp_path: Path
) -> None:
    (tmp_path / "replica" / "cache" / "models" / "followed").mkdir(parents=True)
    s3.stop()
    replica = start()
    assert replica.deployed is None
    s3.start()
    wait_until(lambda: replica.deployed == 1)


def test_replicas_of_one_machine_may_have_their_copy_together(
    owner: ModelStore, start: Callable[..., Replica]
) -> None:
    replicas = [start(), start()]
    owner.announce_deployed(2)
    for replica in replicas:
        wait_until(lambda replica=replica: replica.deployed == 2)


def test_a_copy_fetched_by_two_at_once_is_whole_for_both(
    owner: ModelStore, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Mirror(tmp_path / "copy", SharedArtifacts(s3_url)) for _ in range(2))
    fetch = SharedArtifacts.fetch

    def beside_another(self: SharedArtifacts, version: int, staging: Path) -> None:
        fetch(self, version, staging)
        with monkeypatch.context() as alone:
            alone.setattr(SharedArtifacts, "fetch", fetch)
            second.bring(version)

    monkeypatch.setattr(SharedArtifacts, "fetch", beside_another)
    first.bring(1)
    assert ModelStore(tmp_path / "copy", is_read_only=True).damage(1) is None
    assert list((tmp_path / "copy" / ".staging").iterdir()) == []


def test_what_a_killed_replica_left_is_removed_after_a_while(
    owner: ModelStore, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "copy" / ".staging" / "fetch-left"
    left.mkdir(parents=True)
    Mirror(tmp_path / "copy", SharedArtifacts(s3_url))
    assert left.is_dir()
    # As one that another replica ends at that very moment: it is in the list, and nothing is there.
    left.with_name("fetch-done").symlink_to(tmp_path / "nothing")
    mirror = Mirror(tmp_path / "copy", SharedArtifacts(s3_url))
    monkeypatch.setattr(mirror_module, "STAGING_LIVES_S", -1.0)
    mirror.agree()
    assert not left.exists()


def test_a_wrong_setting_is_refused_at_its_start(s3: LiveS3, start: Callable[..., Replica]) -> None:
    with pytest.raises(CannotStart, match=r"^DIGITS_ARTIFACTS_URL: s3://no-such-bucket: there is no bucket"):
        start(url="s3://no-such-bucket")


def test_it_ends_soon_though_the_place_does_not_answer(
    owner: ModelStore, start: Callable[..., Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = start()
    looking, silent = [], threading.Event()

    def hanging(self: SharedArtifacts) -> int:
        looking.append(True)
        silent.wait(PATIENCE_S)
        return 1

    monkeypatch.setattr(SharedArtifacts, "announced", hanging)
    wait_until(lambda: bool(looking))
    started = time.monotonic()
    replica.close()
    took_s = time.monotonic() - started
    silent.set()
    assert took_s < PATIENCE_S / 2
