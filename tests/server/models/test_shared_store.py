"""The store of a server that owns the versions, and the place where they are shared: neither loses any."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from live_s3 import LiveS3, SpoilingS3

from server.config import CannotStart
from server.errors import ArtifactsUnreachable, ModelNotFound, ShuttingDown
from server.models import ModelStore, SharedArtifacts
from server.models import publication as publication_module
from server.models import store as store_module

OpenOwner = Callable[..., ModelStore]
Save = Callable[..., Any]
PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what should come did not"
        time.sleep(0.02)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_version_is_published_when_its_commit_returns(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner = open_owner("disk", url)
    version = save(owner, regression)
    assert SharedArtifacts(url).numbers() == {version.version} == {1}


def test_a_new_disk_gets_every_version_and_goes_on_with_the_numbers(
    url: str, open_owner: OpenOwner, save: Save, regression: Any, tmp_path: Path
) -> None:
    owner = open_owner("disk", url)
    for training_id in ("t1", "t2", "t3"):
        save(owner, regression, training_id=training_id)
    owner.delete(3)
    owner.announce_deployed(2)
    saved = contents(owner.folder(2))
    shutil.rmtree(tmp_path / "disk")

    shared = SharedArtifacts(url)
    fresh = ModelStore(tmp_path / "new" / "models", shared=shared)
    assert fresh.catch_up() == 2
    assert [version.training_id for version in fresh.list()] == ["t1", "t2"]
    assert contents(fresh.folder(2)) == saved
    assert save(fresh, regression, training_id="t4").version == 4


def test_the_versions_of_a_folder_that_was_never_shared_are_published_at_the_start(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    alone = open_owner("disk", None)
    save(alone, regression, training_id="t1")
    save(alone, regression, training_id="t2")
    open_owner("disk", url)
    assert SharedArtifacts(url).numbers() == {1, 2}


def test_a_crash_between_publication_and_the_folders_name_is_mended_at_the_next_start(
    url: str, open_owner: OpenOwner, save: Save, regression: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = open_owner("disk", url)
    with monkeypatch.context() as crash:
        crash.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            save(owner, regression, training_id="t1")
    assert owner.list() == ()
    started = open_owner("disk", url)
    assert [version.training_id for version in started.list()] == ["t1"]


def test_a_deletion_that_a_crash_cut_off_is_carried_out_at_the_next_start(
    url: str, open_owner: OpenOwner, save: Save, regression: Any, tmp_path: Path
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression, training_id="t1")
    save(owner, regression, training_id="t2")
    SharedArtifacts(url).delete(2)

    started = ModelStore(tmp_path / "disk" / "models", shared=SharedArtifacts(url))
    started.catch_up()
    assert [version.version for version in started.list()] == [1]
    # For the record of what was deleted.
    assert started.deleted() == (2,)


def test_a_damaged_version_is_fetched_anew_at_the_start(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression)
    whole = contents(owner.folder(1))
    (owner.folder(1) / "model.onnx").write_bytes(b"damaged")
    (owner.folder(1) / "version.json").write_bytes(b"damaged")
    started = open_owner("disk", url)
    assert started.damage(1) is None
    assert contents(started.folder(1)) == whole


def test_a_shared_version_that_is_damaged_is_left_out_and_the_others_are_fetched(
    url: str, open_owner: OpenOwner, save: Save, regression: Any, caplog: pytest.LogCaptureFixture
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression, training_id="t1")
    save(owner, regression, training_id="t2")
    objects = SharedArtifacts(url)._objects
    objects.write(f"files/000002/{objects.names('files/000002')[0]}", b"damaged")

    fresh = open_owner("new", url)
    assert [version.version for version in fresh.list()] == [1]
    assert "shared version not taken" in caplog.text
    assert save(fresh, regression, training_id="t3").version == 3


def test_what_is_missing_of_a_shared_version_is_put_back_from_the_folder(
    url: str, open_owner: OpenOwner, save: Save, regression: Any, tmp_path: Path
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression)
    shared = SharedArtifacts(url)
    for mend in (lambda: open_owner("disk", url), lambda: owner.share(1)):
        shared._objects.remove(f"files/000001/{shared._objects.names('files/000001')[0]}")
        mend()
        fetched = tmp_path / "fetched"
        fetched.mkdir()
        shared.fetch(1, fetched)
        assert contents(fetched) == contents(owner.folder(1))
        shutil.rmtree(fetched)


def test_the_place_of_another_server_is_refused_before_anything_is_changed(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    one, other = open_owner("one", url), open_owner("other", None)
    save(one, regression, training_id="of-one")
    one.delete(save(one, regression, training_id="of-one-too").version)
    for number in range(3):
        save(other, regression, training_id=f"of-other-{number}")
    with pytest.raises(CannotStart, match=r"DIGITS_ARTIFACTS_URL: .* has another version [12]"):
        open_owner("other", url)
    assert SharedArtifacts(url).numbers() == {1}
    assert len(other.list()) == 3


def test_versions_that_several_servers_save_at_once_get_numbers_of_their_own(
    open_owner: OpenOwner, save: Save, regression: Any, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    url = f"file://{tmp_path}/shared"
    owners = [open_owner(f"disk{number}", url) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        saved = pool.map(lambda number: save(owners[number], regression, training_id=f"t{number}"), range(3))
        assert sorted(version.version for version in saved) == [1, 2, 3]
    started = open_owner("new", url)
    assert {version.training_id for version in started.list()} == {"t0", "t1", "t2"}


def test_a_version_waits_for_the_place_to_be_back_and_is_saved_then(
    s3: LiveS3, s3_url: str, open_owner: OpenOwner, save: Save, regression: Any, caplog: Any
) -> None:
    owner = open_owner("disk", s3_url)
    s3.stop()
    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(save, owner, regression)
        wait_until(lambda: "shared artifacts not reached" in caplog.text)
        assert not saved.done()
        assert owner.list() == ()
        s3.start()
        assert saved.result(PATIENCE_S).version == 1
    assert SharedArtifacts(s3_url).numbers() == {1}


def test_a_version_that_waits_is_given_back_when_the_server_goes_down(
    s3: LiveS3, s3_url: str, open_owner: OpenOwner, save: Save, regression: Any, caplog: Any
) -> None:
    owner = open_owner("disk", s3_url)
    s3.stop()
    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(save, owner, regression)
        wait_until(lambda: "shared artifacts not reached" in caplog.text)
        owner.close()
        with pytest.raises(ShuttingDown):
            saved.result(PATIENCE_S)
    assert owner.list() == ()


def test_a_version_that_cannot_be_published_is_refused_in_the_end(
    s3: LiveS3,
    s3_url: str,
    open_owner: OpenOwner,
    save: Save,
    regression: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publication_module, "PATIENCE_S", 0.0)
    owner = open_owner("disk", s3_url)
    s3.stop()
    with pytest.raises(ArtifactsUnreachable):
        save(owner, regression)
    assert owner.list() == ()
    s3.start()
    assert save(owner, regression).version == 1


def test_neither_a_deletion_nor_a_deployment_is_half_done_while_the_place_is_away(
    s3: LiveS3, s3_url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner = open_owner("disk", s3_url)
    save(owner, regression, training_id="t1")
    save(owner, regression, training_id="t2")
    owner.announce_deployed(1)
    s3.stop()
    for attempt in (lambda: owner.announce_deployed(2), lambda: owner.delete(2)):
        with pytest.raises(ArtifactsUnreachable):
            attempt()
    assert owner.announced_deployed() == 1
    assert [version.version for version in owner.list()] == [1, 2]


def test_after_an_announcement_of_unknown_fate_what_answers_is_told_again(
    s3: LiveS3,
    s3_url: str,
    open_owner: OpenOwner,
    save: Save,
    regression: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = open_owner("disk", s3_url)
    save(owner, regression, training_id="t1")
    save(owner, regression, training_id="t2")
    owner.announce_deployed(1)
    announce, arrived = SharedArtifacts.announce, threading.Event()

    def arrives_and_is_not_answered(self: SharedArtifacts, version: int | None) -> None:
        announce(self, version)
        if version == 2:
            arrived.set()
            raise ArtifactsUnreachable("a test has cut it off")

    monkeypatch.setattr(SharedArtifacts, "announce", arrives_and_is_not_answered)
    with pytest.raises(ArtifactsUnreachable):
        owner.announce_deployed(2)
    assert arrived.is_set()
    wait_until(lambda: SharedArtifacts(s3_url).announced() == 1)
    assert owner.announced_deployed() == 1


def test_what_a_server_that_owned_the_versions_before_announces_does_not_hold(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression)
    owner.announce_recorded(1)
    other = SharedArtifacts(url)
    wait_until(lambda: other.announced() == 1)
    other.announce(7)
    wait_until(lambda: other.announced() == 1)
    owner.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that looks at its announcement many times a second."""
    monkeypatch.setattr(publication_module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(publication_module, "TRY_AGAIN_S", 0.02)


def test_what_it_has_announced_is_kept_though_answers_break_off(
    quick: None, spoiling: SpoilingS3, s3_url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner, other = open_owner("disk", s3_url), SharedArtifacts(s3_url)
    save(owner, regression)
    owner.announce_recorded(1)
    wait_until(lambda: other.announced() == 1)
    spoiling.breaks_off = "/deployed"
    other.announce(7)
    wait_until(lambda: spoiling.spoilt >= 2)
    spoiling.breaks_off = None
    wait_until(lambda: other.announced() == 1)


def test_what_it_has_announced_is_kept_after_a_bug_and_a_note_that_could_not_be_read(
    quick: None,
    url: str,
    open_owner: OpenOwner,
    save: Save,
    regression: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner, other = open_owner("disk", url), SharedArtifacts(url)
    save(owner, regression)
    owner.announce_recorded(1)
    wait_until(lambda: other.announced() == 1)
    for fault in (TypeError("nobody foresaw this"), PermissionError("the folder is away")):
        met = []

        def broken(fault: Exception = fault, met: list[bool] = met) -> int:
            met.append(True)
            raise fault

        assert owner._publication
        with monkeypatch.context() as spoilt:
            spoilt.setattr(owner._publication, "_noted", broken)
            other.announce(7)
            wait_until(lambda met=met: len(met) >= 3)
        wait_until(lambda: other.announced() == 1)
    assert caplog.messages.count("bug") == 1


def test_where_no_thread_could_be_started_the_announcement_is_kept_from_the_next_time_on(
    quick: None, url: str, open_owner: OpenOwner, save: Save, regression: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_threads(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    owner = open_owner("disk", url)
    save(owner, regression)
    with monkeypatch.context() as spoilt:
        spoilt.setattr(threading.Thread, "start", out_of_threads)
        with pytest.raises(RuntimeError):
            owner.announce_recorded(1)
    owner.announce_recorded(1)
    wait_until(lambda: SharedArtifacts(url).announced() == 1)


def test_without_a_place_nothing_that_it_takes_is_imported() -> None:
    code = "import sys, server.application, server.replica; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"fsspec", "s3fs", "botocore", "aiobotocore", "aiohttp"}.isdisjoint(loaded.stdout.split())


def test_a_version_that_was_put_into_the_folder_is_published_when_it_is_to_be_deployed(
    url: str,
    open_owner: OpenOwner,
    save: Save,
    regression: Any,
    make_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression)
    shutil.copytree(make_folder(training_id="by-hand"), tmp_path / "disk" / "models" / "000002")
    owner.share(2)
    assert SharedArtifacts(url).numbers() == {1, 2}


def test_a_version_that_another_server_has_deleted_is_not_deployed(
    url: str, open_owner: OpenOwner, save: Save, regression: Any
) -> None:
    owner = open_owner("disk", url)
    save(owner, regression)
    SharedArtifacts(url).delete(1)
    for number in (1, 99):
        with pytest.raises(ModelNotFound):
            owner.share(number)


def test_a_start_that_does_not_reach_the_place_says_so_and_a_wrong_setting_is_not_waited_for(
    s3: LiveS3, s3_url: str, open_owner: OpenOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotStart, match=r"^DIGITS_ARTIFACTS_URL: s3://no-such-bucket: there is no bucket"):
        open_owner("disk", "s3://no-such-bucket")
    monkeypatch.setattr(store_module, "AT_START_S", 0.0)
    s3.stop()
    with pytest.raises(CannotStart, match=r"^DIGITS_ARTIFACTS_URL: s3://.*: S3 does not answer"):
        open_owner("disk", s3_url)


def test_a_start_waits_for_a_place_that_is_started_with_it(
    s3: LiveS3, s3_url: str, open_owner: OpenOwner, caplog: pytest.LogCaptureFixture
) -> None:
    s3.stop()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(open_owner, "disk", s3_url)
        wait_until(lambda: "shared artifacts not reached" in caplog.text)
        s3.start()
        assert started.result(PATIENCE_S).list() == ()
