"""Versions in a folder that machines share, and in S3: whole or not there, under numbers that stay theirs."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from live_s3 import LiveS3, SpoilingS3

from server.errors import ArtifactsUnreachable, ModelCorrupt, ModelNotFound
from server.models import SharedArtifacts, s3_objects
from server.models.shared import NumberTaken
from server.models.version import read_version

MakeFolder = Callable[..., Path]


def make_empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_published_is_fetched_as_it_was(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder, fetched = make_folder(), tmp_path / "fetched"
    fetched.mkdir()
    assert shared.numbers() == frozenset()
    shared.publish(folder, 7)

    SharedArtifacts(shared.url).fetch(7, fetched)
    assert contents(fetched) == contents(folder)
    assert read_version(fetched, 7).version == 7
    assert shared.numbers() == {7}
    assert shared.last_number() == 7


def test_the_announcement_is_what_was_said_last(shared: SharedArtifacts) -> None:
    assert shared.announced() is None
    other = SharedArtifacts(shared.url)
    for version, told in ((3, 3), (4, 4), (None, 0), (3, 3)):
        shared.announce(version)
        assert other.announced() == told


def test_another_version_is_refused_a_number_that_is_taken(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path
) -> None:
    first, second, fetched = make_folder(), make_folder(training_id="another"), tmp_path / "fetched"
    fetched.mkdir()
    shared.publish(first, 1)
    shared.publish(first, 1)
    with pytest.raises(NumberTaken):
        shared.publish(second, 1)
    shared.fetch(1, fetched)
    assert contents(fetched) == contents(first)


def test_of_two_owners_that_publish_one_number_at_once_one_gets_it(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [make_folder(training_id=f"t{number}") for number in range(4)]
    # Every one has looked and found the number free before the first one takes it.
    together = threading.Barrier(len(folders))
    objects = type(shared._objects)
    create = objects.create
    # The S3 server of the tests looks and puts in two steps, unlike S3 itself.
    puts: Any = threading.Lock() if shared.url.startswith("s3") else nullcontext()

    def create_together(self: Any, name: str, content: bytes) -> bool:
        together.wait(60)
        with puts:
            return create(self, name, content)

    monkeypatch.setattr(objects, "create", create_together)

    def publish(folder: Path) -> bool:
        try:
            SharedArtifacts(shared.url).publish(folder, 1)
        except NumberTaken:
            return False
        return True

    with ThreadPoolExecutor(len(folders)) as pool:
        published = list(pool.map(publish, folders))
    assert published.count(True) == 1
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    shared.fetch(1, fetched)
    assert contents(fetched) == contents(folders[published.index(True)])


def test_a_deleted_version_is_gone_with_its_files_and_its_number_stays_taken(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path
) -> None:
    first, second = make_folder(), make_folder(training_id="another")
    shared.publish(first, 1)
    shared.publish(second, 2)
    shared.delete(2)

    assert (shared.numbers(), shared.deleted(), shared.last_number()) == ({1}, {2}, 2)
    assert shared._objects.names("files/000002") == []
    assert len(shared._objects.names("files/000001")) == 3
    with pytest.raises(ModelNotFound):
        shared.fetch(2, tmp_path)
    for folder in (first, second):
        with pytest.raises(NumberTaken):
            shared.publish(folder, 2)


def test_files_whose_removal_was_cut_off_are_removed_later(
    shared: SharedArtifacts, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(name: str) -> None:
        raise ArtifactsUnreachable("a test has cut it off")

    shared.publish(make_folder(), 1)
    with monkeypatch.context() as cut:
        cut.setattr(shared._objects, "remove", away)
        shared.delete(1)
    assert (shared.numbers(), len(shared._objects.names("files/000001"))) == (frozenset(), 3)
    shared.clean()
    assert shared._objects.names("files/000001") == []


def test_a_publication_that_is_cut_off_leaves_no_version_and_is_done_again(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, objects = make_folder(), shared._objects
    upload, left = objects.upload, iter([True, True])

    def cut_off(path: Path, name: str) -> None:
        if not next(left, False):
            raise ArtifactsUnreachable("a test has cut it off")
        upload(path, name)

    with monkeypatch.context() as cut:
        cut.setattr(objects, "upload", cut_off)
        with pytest.raises(ArtifactsUnreachable):
            shared.publish(folder, 1)
    assert shared.numbers() == frozenset()
    with pytest.raises(ModelNotFound):
        shared.fetch(1, tmp_path)
    shared.publish(folder, 1)
    assert shared.numbers() == {1}


@pytest.mark.parametrize("what", ["files/000001", "versions"])
def test_a_damaged_object_is_refused_by_its_checksum(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path, what: str
) -> None:
    shared.publish(make_folder(), 1)
    name = f"{what}/{shared._objects.names(what)[0]}"
    content = shared._objects.read(name)
    assert content
    damaged, target = tmp_path / "damaged", tmp_path / "fetched"
    target.mkdir()
    damaged.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    shared._objects.upload(damaged, name)
    with pytest.raises(ModelCorrupt):
        shared.fetch(1, target)


def test_a_missing_object_is_a_damaged_version(
    shared: SharedArtifacts, make_folder: MakeFolder, tmp_path: Path
) -> None:
    shared.publish(make_folder(), 1)
    name = f"files/000001/{shared._objects.names('files/000001')[0]}"
    shared._objects.remove(name)
    shared._objects.remove(name)
    with pytest.raises(ModelCorrupt, match="is missing"):
        shared.fetch(1, tmp_path)


def test_a_damaged_folder_is_not_published(shared: SharedArtifacts, make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelCorrupt):
        shared.publish(folder, 1)
    assert shared.numbers() == frozenset()


def test_what_another_machine_put_there_a_moment_ago_is_seen(
    shared: SharedArtifacts, make_folder: MakeFolder
) -> None:
    other = SharedArtifacts(shared.url)
    for number in (1, 2, 3):
        shared.publish(make_folder(training_id=f"t{number}"), number)
        assert other.numbers() == set(range(1, number + 1))


def test_without_an_s3_server_everything_is_told_as_unreachable_within_seconds(
    s3: LiveS3, s3_url: str, make_folder: MakeFolder, tmp_path: Path
) -> None:
    shared, folder = SharedArtifacts(s3_url), make_folder()
    shared.publish(folder, 1)
    s3.stop()
    for attempt in (
        shared.numbers,
        shared.announced,
        lambda: shared.announce(1),
        lambda: shared.publish(folder, 2),
        lambda: shared.fetch(1, tmp_path),
        lambda: shared.delete(1),
    ):
        started = time.monotonic()
        with pytest.raises(ArtifactsUnreachable) as raised:
            attempt()
        assert time.monotonic() - started < 30
        assert not raised.value.is_setting
    s3.start()
    assert shared.numbers() == {1}


def test_an_s3_server_that_accepts_and_says_nothing_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, s3: LiveS3
) -> None:
    monkeypatch.setattr(s3_objects, "WAITS", {"connect_timeout": 0.2, "read_timeout": 0.2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ArtifactsUnreachable) as raised:
            SharedArtifacts("s3://bucket/prefix").announced()
    assert raised.value.why.startswith("S3 does not answer as it should")
    assert not raised.value.is_setting


@pytest.mark.parametrize("what", ["deployed", "versions/000001.json", "files/000001/model", "list-type=2"])
def test_an_answer_that_breaks_off_in_the_middle_is_unreachable(
    spoiling: SpoilingS3, s3_url: str, make_folder: MakeFolder, tmp_path: Path, what: str
) -> None:
    shared = SharedArtifacts(s3_url)
    shared.publish(make_folder(), 1)
    shared.announce(1)
    fetched = make_empty(tmp_path)

    def use_all() -> None:
        shared.announced()
        shared.numbers()
        shared.fetch(1, fetched)

    spoiling.breaks_off = what
    with pytest.raises(ArtifactsUnreachable) as raised:
        use_all()
    assert spoiling.spoilt
    assert not raised.value.is_setting
    assert spoiling.endpoint not in f"{raised.value} {raised.value.why}"
    spoiling.breaks_off = None
    use_all()


def test_a_list_that_is_somebody_elses_page_is_unreachable(spoiling: SpoilingS3, s3_url: str) -> None:
    shared = SharedArtifacts(s3_url)
    assert shared.numbers() == frozenset()
    spoiling.babbles = "list-type=2"
    with pytest.raises(ArtifactsUnreachable, match="cannot be reached"):
        shared.numbers()


def test_what_a_killed_writer_left_is_removed_after_a_while_and_nothing_else(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    shared = SharedArtifacts(f"file://{root}")
    shared.clean()
    shared.publish(make_folder(), 1)
    left, under_way, other = (
        root / "files" / "000001" / name
        for name in (".model.onnx.ab12-0123abcd", ".model.onnx.ab12-4567cdef", ".somebody-else")
    )
    for path in (left, under_way, other):
        path.write_bytes(b"half of it")
    for path in (left, other):
        os.utime(path, (0, 0))
    shared.clean()
    assert [path.exists() for path in (left, under_way, other)] == [False, True, True]
    shared.fetch(1, make_empty(tmp_path))


def test_a_missing_bucket_is_a_wrong_setting(s3: LiveS3) -> None:
    shared = SharedArtifacts("s3://nobody-made-this/prefix")
    for attempt in (shared.announced, shared.numbers, lambda: shared.announce(1)):
        with pytest.raises(ArtifactsUnreachable) as raised:
            attempt()
        assert raised.value.is_setting
        assert "nobody-made-this" in raised.value.why


def test_a_key_that_is_not_known_is_a_wrong_setting_and_no_log_has_the_secret(
    s3: LiveS3, s3_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shared = SharedArtifacts(s3_url)
    s3.ask_for_keys(True)
    try:
        with pytest.raises(ArtifactsUnreachable, match=r"try again") as raised:
            shared.announced()
    finally:
        s3.ask_for_keys(False)
    assert raised.value.is_setting
    assert "AWS_ACCESS_KEY_ID" in raised.value.why
    # Without what the S3 server says, which is of this process too.
    said = [one.getMessage() for one in caplog.records if not one.name.startswith(("moto", "werkzeug"))]
    for secret in (s3.settings["AWS_SECRET_ACCESS_KEY"], "Signature="):
        assert secret not in "\n".join([*said, str(raised.value), raised.value.why])


def test_a_start_without_a_key_says_which_variables_it_takes(
    s3: LiveS3, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ArtifactsUnreachable) as raised:
        SharedArtifacts(s3_url).announced()
    assert raised.value.is_setting
    assert "AWS_ACCESS_KEY_ID" in raised.value.why


def test_a_folder_that_is_not_mounted_is_a_wrong_setting_and_is_not_made(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    shared = SharedArtifacts(f"file://{tmp_path}/not/mounted")
    for attempt in (
        shared.announced,
        shared.numbers,
        lambda: shared.announce(1),
        lambda: shared.publish(make_folder(), 1),
    ):
        with pytest.raises(ArtifactsUnreachable, match="cannot be reached") as raised:
            attempt()
        assert raised.value.is_setting
        assert "not/mounted" in raised.value.why
    assert not (tmp_path / "not").exists()
