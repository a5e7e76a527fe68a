"""Preparing the digits: which source is taken, fast when nothing changed, and never spoilt by a crash."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server.datasets.prepare as program
from server.datasets import Data, DataSource, Digits, SourceKind
from server.datasets.builtin import read_builtin
from server.datasets.prepare import Checksums, prepare
from server.datasets.prepared import is_intact, read_current, write_folder
from server.errors import DatasetUnavailable

Serve = Callable[[bytes], Any]


class Steps(list[tuple[str, str]]):
    """The steps that a preparation reported, with their messages."""

    def __call__(self, step: str, message: str) -> None:
        self.append((step, message))

    @property
    def names(self) -> set[str]:
        return {step for step, _ in self}


@pytest.fixture(scope="module")
def builtin() -> Digits:
    return read_builtin()


@pytest.fixture(autouse=True)
def read_once(builtin: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the library's CSV file takes longer than all the rest, and has its own tests."""
    monkeypatch.setattr(program, "read_builtin", lambda: builtin)


def copy(root: Path, target: Path) -> Path:
    """A copy to prepare in. Files are shared: a preparation replaces them and never writes into one."""
    return Path(shutil.copytree(root, target, copy_function=os.link))


def prepare_builtin(root: Path, steps: Steps | None = None) -> DataSource:
    return prepare(root, None, "", steps if steps is not None else Steps())


def test_mnist_is_taken_where_it_is_given(full_root: Path, mnist: Any) -> None:
    source = Data.open(full_root).source
    assert source.kind is SourceKind.MNIST_FILE
    assert source.sha256 == mnist.checksums.mnist
    assert source.description == f"MNIST, 60,000 training and 10,000 test digits, from {mnist.path.name}."


def test_the_built_in_digits_are_taken_where_nothing_else_is(builtin_data: Data) -> None:
    assert builtin_data.source.kind is SourceKind.BUILTIN
    assert "5,000" in builtin_data.source.description


def test_a_download_is_taken_and_not_repeated(
    mnist: Any, downloaded_root: Path, serve: Serve, tmp_path: Path
) -> None:
    root, server, steps = copy(downloaded_root, tmp_path / "root"), serve(b""), Steps()
    source = prepare(root, None, server.url, Steps(), mnist.checksums)
    assert source.kind is SourceKind.MNIST_DOWNLOAD
    assert source.sha256 == mnist.checksums.mnist
    assert prepare(root, None, server.url, steps, mnist.checksums) == source
    assert steps.names == {"checking", "ready"}
    assert server.ranges == []


def test_a_download_is_taken_where_there_is_no_network_any_more(
    mnist: Any, downloaded_root: Path, tmp_path: Path
) -> None:
    root = copy(downloaded_root, tmp_path / "root")
    assert prepare(root, None, "", Steps(), mnist.checksums).kind is SourceKind.MNIST_DOWNLOAD


def test_a_damaged_download_is_not_used(
    mnist: Any, downloaded_root: Path, serve: Serve, tmp_path: Path
) -> None:
    root, server = copy(downloaded_root, tmp_path / "root"), serve(b"")
    server.behaviour = "missing"
    (root / "downloads" / "mnist.npz").unlink()
    (root / "downloads" / "mnist.npz").write_bytes(b"damage")
    assert prepare(root, None, server.url, Steps(), mnist.checksums).kind is SourceKind.BUILTIN
    assert server.ranges == [None]


def test_a_download_that_fails_gives_the_built_in_digits_and_says_why(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"not MNIST")
    server.behaviour = "missing"
    steps = Steps()
    assert prepare(tmp_path, None, server.url, steps).kind is SourceKind.BUILTIN
    assert f"MNIST could not be downloaded from {server.url}: the server answered 404" in steps[-1][1]


def test_a_download_that_is_not_mnist_gives_the_built_in_digits(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"a page that wants a log-in")
    assert prepare(tmp_path, None, server.url, Steps()).kind is SourceKind.BUILTIN
    assert not list((tmp_path / "downloads").iterdir())


def test_given_mnist_comes_before_a_download(mnist: Any, serve: Serve, tmp_path: Path) -> None:
    server = serve(b"")
    assert prepare(tmp_path, mnist.path, server.url, Steps(), mnist.checksums).kind is SourceKind.MNIST_FILE
    assert server.ranges == []


def test_another_data_set_is_refused_and_nothing_is_prepared(mnist: Any, tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable, match="expected MNIST's own"):
        prepare(tmp_path, mnist.path, "", Steps(), Checksums(mnist="0" * 64))
    assert read_current(tmp_path) is None


def test_nothing_is_read_when_nothing_changed(builtin_root: Path) -> None:
    steps = Steps()
    prepare_builtin(builtin_root, steps)
    assert steps.names == {"checking", "ready"}


def test_a_file_that_was_moved_is_read_again_to_the_same_end(
    mnist: Any, full_root: Path, tmp_path: Path
) -> None:
    root, steps = copy(full_root, tmp_path / "root"), Steps()
    shutil.copyfile(mnist.path, tmp_path / "moved.npz")
    source = prepare(root, tmp_path / "moved.npz", "", steps, mnist.checksums)
    assert steps.names == {"reading", "ready"}
    assert source.sha256 == mnist.checksums.mnist
    assert source.description.endswith("from moved.npz.")


def test_each_source_has_a_folder_of_its_own_and_changing_between_them_works(
    mnist: Any, full_root: Path, tmp_path: Path
) -> None:
    root = copy(full_root, tmp_path / "root")
    with_mnist = Data.open(root)
    prepare_builtin(root)
    assert not Data.open(root).has_mnist
    assert with_mnist.has_mnist  # and whoever has it open can go on
    assert int(with_mnist.split(use_all=True).train.images[-1].max()) > 0
    steps = Steps()
    prepare(root, mnist.path, "", steps, mnist.checksums)
    assert Data.open(root).has_mnist
    assert "writing" not in steps.names


@pytest.mark.parametrize("name", ["builtin_images.npy", "builtin_labels.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_file_is_made_again(builtin_root: Path, tmp_path: Path, name: str, damage: str) -> None:
    root = copy(builtin_root, tmp_path / "root")
    current = read_current(root)
    assert current is not None
    file = root / current.folder / name
    if damage == "remove":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 1
        file.unlink()
        file.write_bytes(content if damage == "flip" else content[:-10])
    steps = Steps()
    prepare_builtin(root, steps)
    assert is_intact(root / current.folder)
    assert "damaged" in steps.names


def test_a_damaged_current_json_is_made_again(builtin_root: Path, tmp_path: Path) -> None:
    for content in ("", "{", "[]", '{"format": 1}', '{"format": 99, "folder": "x"}', "null"):
        root = copy(builtin_root, tmp_path / f"root{len(content)}")
        (root / "current.json").unlink()
        (root / "current.json").write_text(content)
        with pytest.raises(DatasetUnavailable):
            Data.open(root)
        prepare_builtin(root)
        assert Data.open(root).available()


def test_a_disk_fault_at_any_write_leaves_the_old_state_or_the_new(
    builtin_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync = os.fsync
    for allowed in range(20):
        root = copy(builtin_root, tmp_path / str(allowed))
        current = read_current(root)
        assert current is not None
        (root / current.folder / "builtin_labels.npy").unlink()
        written = 0

        def full_disk(descriptor: int, allowed: int = allowed) -> None:
            nonlocal written
            written += 1
            if written > allowed:
                raise OSError(28, "No space left on device")
            real_fsync(descriptor)

        monkeypatch.setattr(os, "fsync", full_disk)
        try:
            prepare_builtin(root)
            assert allowed > 5
            break
        except OSError:
            assert not is_intact(root / current.folder) or Data.open(root).available()
        monkeypatch.setattr(os, "fsync", real_fsync)
        prepare_builtin(root)  # the next start mends it, and clears up
        assert Data.open(root).available()
        assert sorted(path.name for path in root.iterdir()) == [".lock", current.folder, "current.json"]
    else:
        pytest.fail("the preparation never ended")


def test_a_full_disk_is_told_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opening = Path.open

    def no_room(path: Path, *modes: str) -> Any:
        return opening(Path("/dev/full") if path.suffix == ".npy" else path, *modes)

    monkeypatch.setattr(Path, "open", no_room)

    with pytest.raises(OSError, match="No space left on device"):
        write_folder(tmp_path, "0" * 64, {"labels": np.zeros(100_000, np.uint8)})
