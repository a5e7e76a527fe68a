"""Exports: what is kept, what is removed, and how a conversion ends."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.errors import (
    DiskFull,
    ModelCorrupt,
    ModelNotFound,
    ShuttingDown,
    TooManyTransfers,
    Unavailable,
)
from server.exports import KEPT, MAX_CONVERSIONS, ExportFormat, Exports
from server.models import KERAS_MODEL, ModelStore, ModelVersion

PATIENCE_S = 60.0


@pytest.fixture
def version(store: ModelStore, save: Any, regression: Any) -> ModelVersion:
    saved: ModelVersion = save(store, regression)
    return saved


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "exports"


@pytest.fixture
def open_exports(root: Path, store: ModelStore) -> Iterator[Callable[..., Exports]]:
    """`open_exports()`: as a start of the server opens them."""
    opened: list[Exports] = []

    def make(**options: Any) -> Exports:
        opened.append(Exports(root, store, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def key(version: ModelVersion) -> str:
    return f"{version.artifact.sha256[:16]}-{version.files[KERAS_MODEL].sha256[:16]}"


def put(folder: Path) -> Path:
    """What a conversion leaves."""
    folder.mkdir(parents=True)
    records = {}
    for name in ("saved_model.zip", "model.tflite"):
        (folder / name).write_bytes(name.encode())
        records[name] = {"sha256": hashlib.sha256(name.encode()).hexdigest(), "bytes": len(name)}
    (folder / "manifest.json").write_text(json.dumps(records))
    return folder


def converting() -> list[psutil.Process]:
    """The conversions that this process has started."""
    return [
        child
        for child in psutil.Process().children()
        if any("server.trainer.convert" in one for one in child.cmdline())
    ]


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not after {PATIENCE_S} s"
        time.sleep(0.01)


def test_what_a_version_holds_is_there_at_once_and_compared(
    open_exports: Callable[..., Exports], store: ModelStore, version: ModelVersion
) -> None:
    exports = open_exports()
    for form, name in ((ExportFormat.ONNX, "model.onnx"), (ExportFormat.KERAS, "model.keras")):
        export = exports.find(version.version, form)
        assert export is not None
        assert (export.path.name, export.record) == (name, version.files[name])
    (store.folder(version.version) / "model.keras").write_bytes(b"x")
    with pytest.raises(ModelCorrupt):
        exports.find(version.version, ExportFormat.KERAS)
    with pytest.raises(ModelNotFound):
        exports.find(99, ExportFormat.ONNX)


def test_what_was_converted_is_taken_only_as_long_as_it_is_whole(
    open_exports: Callable[..., Exports], root: Path, version: ModelVersion
) -> None:
    exports = open_exports()
    assert exports.find(version.version, ExportFormat.TFLITE) is None
    folder = put(root / key(version))
    export = exports.find(version.version, ExportFormat.TFLITE)
    assert export is not None
    assert (export.file_name, export.path.read_bytes()) == (
        f"digits-{version.version}.tflite",
        b"model.tflite",
    )
    (folder / "model.tflite").write_bytes(b"MODEL.tflite")
    assert exports.find(version.version, ExportFormat.TFLITE) is None
    assert exports.find(version.version, ExportFormat.SAVED_MODEL) is not None
    (folder / "manifest.json").write_text("[")
    assert exports.find(version.version, ExportFormat.SAVED_MODEL) is None


def test_what_is_of_no_version_and_what_is_unfinished_goes_at_the_start(
    open_exports: Callable[..., Exports], root: Path, version: ModelVersion
) -> None:
    ours, stale = put(root / key(version)), put(root / "0123456789abcdef-0123456789abcdef")
    unfinished = put(root / f".unfinished-{key(version)}")
    open_exports()
    assert [path.exists() for path in (ours, stale, unfinished)] == [True, False, False]


def test_the_exports_of_a_deleted_version_go_with_it(
    open_exports: Callable[..., Exports], root: Path, store: ModelStore, version: ModelVersion
) -> None:
    exports = open_exports()
    folder = put(root / key(version))
    store.delete(version.version)
    exports.clean()
    assert not folder.exists()


def test_those_used_last_are_kept(
    open_exports: Callable[..., Exports], root: Path, store: ModelStore, save: Any, regression: Any
) -> None:
    versions = []
    for number in range(KEPT + 2):
        # Other weights make another version.
        changed = type(regression)(regression.weights, regression.bias + number)
        versions.append(save(store, changed))
    for age, version in enumerate(versions):
        os.utime(put(root / key(version)), (1000 + age, 1000 + age))
    exports = open_exports()
    kept = {version.version for version in versions if (root / key(version)).exists()}
    assert kept == {version.version for version in versions[2:]}
    # To be asked for is to be used.
    exports.find(versions[2].version, ExportFormat.TFLITE)
    put(root / key(versions[0]))
    exports.clean()
    assert (root / key(versions[2])).exists()
    assert not (root / key(versions[3])).exists()


def test_a_conversion_that_takes_too_long_is_ended(
    open_exports: Callable[..., Exports], root: Path, version: ModelVersion
) -> None:
    with pytest.raises(Unavailable, match=r"took longer than 0\.2 s"):
        open_exports(timeout_s=0.2).convert(version.version).result(PATIENCE_S)
    assert not converting()
    assert not list(root.iterdir())


def test_all_wait_for_one_conversion_and_it_ends_with_the_server(
    open_exports: Callable[..., Exports], root: Path, version: ModelVersion
) -> None:
    exports = open_exports()
    first = exports.convert(version.version)
    assert exports.convert(version.version) is first
    wait_until(converting)
    (child,) = converting()
    assert child.environ()["TMPDIR"].startswith(str(root))
    exports.close()
    with pytest.raises(ShuttingDown):
        first.result(PATIENCE_S)
    assert not child.is_running()
    with pytest.raises(ShuttingDown):
        exports.convert(version.version)
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    ("end", "refusal", "words"),
    [
        ("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1", DiskFull, "disk .* is full"),
        ("echo 'RESOURCE_EXHAUSTED: digits/1; No space left on device' >&2; exit 1", DiskFull, "is full"),
        ("kill -9 $$", Unavailable, "want of memory"),
        ("echo 'ConversionMismatch: 0.3' >&2; exit 1", RuntimeError, "ended with 1: ConversionMismatch: 0.3"),
    ],
    ids=["a full disk", "a full disk in TensorFlow's words", "killed for its memory", "a bug"],
)
def test_a_conversion_that_fails_says_why(
    open_exports: Callable[..., Exports],
    root: Path,
    version: ModelVersion,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
    refusal: type[Exception],
    words: str,
) -> None:
    # In the place of Python, as a converter that ends so: a disk is filled in `make torture`.
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{end}\n")
    program.chmod(0o755)
    exports = open_exports()
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(refusal, match=words):
        exports.convert(version.version).result(PATIENCE_S)
    assert not list(root.iterdir())


def test_no_more_conversions_wait_than_may_and_to_join_one_is_always_possible(
    open_exports: Callable[..., Exports], store: ModelStore, save: Any, regression: Any
) -> None:
    exports = open_exports()
    numbers = []
    for number in range(MAX_CONVERSIONS + 1):
        changed = type(regression)(regression.weights, regression.bias + number)
        numbers.append(save(store, changed).version)
    under_way = [exports.convert(number) for number in numbers[:-1]]
    with pytest.raises(TooManyTransfers, match=f"{MAX_CONVERSIONS} conversions are under way"):
        exports.convert(numbers[-1])
    assert exports.convert(numbers[0]) is under_way[0]
    exports.close()
    assert [type(future.exception(PATIENCE_S)) for future in under_way] == [ShuttingDown] * MAX_CONVERSIONS


def test_a_damaged_version_is_not_converted(
    open_exports: Callable[..., Exports], store: ModelStore, version: ModelVersion
) -> None:
    exports = open_exports()
    (store.folder(version.version) / "model.keras").write_bytes(b"x")
    with pytest.raises(ModelCorrupt):
        exports.convert(version.version).result(PATIENCE_S)
    assert not converting()
    with pytest.raises(ModelNotFound):
        exports.convert(99)
