"""Versions as files for other software.

The artifact and the Keras model are files of a version as it is. The other forms take TensorFlow, which never
enters this process: a program of its own makes them, once, and what it made is kept beside the versions:

    <root>/<artifact>-<model>/    by the checksums of what it was made from
        saved_model.zip
        model.tflite
        manifest.json             size and SHA-256 of both; written last

A folder is made under another name and renamed. The eight used last are kept, of versions that still are.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from server.errors import DigitsError, DiskFull, ShuttingDown, TooManyTransfers, Unavailable
from server.models import ARTIFACT, KERAS_MODEL, FileRecord, ModelStore, ModelVersion
from server.models.files import sha256_of, sync, write_durably
from server.models.version import verify_file
from server.training.child import child_environment

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished-"
KEPT = 8
# Versions that are converted or wait for it: at some seconds each, more would only wait in vain.
MAX_CONVERSIONS = 8
# A conversion takes 10 s on two cores that have nothing else to do; a training may have all of both.
CONVERT_TIMEOUT_S = 300.0
RETRY_AFTER_S = 30.0


class ExportFormat(StrEnum):
    """A form that other software reads."""

    KERAS = "keras"
    SAVED_MODEL = "saved_model"
    TFLITE = "tflite"
    ONNX = "onnx"


STORED: Mapping[ExportFormat, str] = {ExportFormat.KERAS: KERAS_MODEL, ExportFormat.ONNX: ARTIFACT}
"""The forms that a version's own folder holds, and the file."""
CONVERTED: Mapping[ExportFormat, str] = {
    ExportFormat.SAVED_MODEL: "saved_model.zip",
    ExportFormat.TFLITE: "model.tflite",
}
"""The forms that a program makes, and the file."""
ENDINGS: Mapping[ExportFormat, str] = {
    ExportFormat.KERAS: ".keras",
    ExportFormat.SAVED_MODEL: "-saved-model.zip",
    ExportFormat.TFLITE: ".tflite",
    ExportFormat.ONNX: ".onnx",
}


@dataclass(frozen=True)
class Export:
    """A version in one form."""

    model_version: int
    file_name: str
    """A good name for the file where it goes."""
    path: Path
    record: FileRecord
    """Its size and checksum, which were compared."""


class Exports:
    """The exports of all versions. May be used from any thread."""

    def __init__(self, root: Path, store: ModelStore, timeout_s: float = CONVERT_TIMEOUT_S) -> None:
        """`root`: where they are kept; what an earlier server left there unfinished is removed."""
        self._root = root
        self._store = store
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        # One at a time: each takes a core and half a gigabyte.
        self._worker = ThreadPoolExecutor(1, "exports")
        self.clean()

    def find(self, version: int, form: ExportFormat) -> Export | None:
        """A version in a form; None when it has to be converted first.

        Raises ModelNotFound, ModelCorrupt.
        """
        described = self._store.get(version)
        name = f"digits-{version}{ENDINGS[form]}"
        if form in STORED:
            path = verify_file(self._store.folder(version), described, STORED[form])
            return Export(version, name, path, described.files[STORED[form]])
        folder = self._root / _key(described)
        record = _read_manifest(folder).get(CONVERTED[form])
        path = folder / CONVERTED[form]
        if record is None or not _is_whole(path, record):
            return None
        os.utime(folder)  # Used last now.
        return Export(version, name, path, record)

    def convert(self, version: int) -> Future[None]:
        """Make the forms of a version that are not there, or join who does it already; returns at once.

        The future raises ModelCorrupt, ModelNotFound, DiskFull, Unavailable when it takes too long or more
        memory than there is, ShuttingDown. Raises ModelNotFound, ModelCorrupt, ShuttingDown, and
        TooManyTransfers when as many wait as may.
        """
        described = self._store.get(version)
        key = _key(described)
        with self._lock:
            if self._is_closed:
                raise _shutting_down()
            if key not in self._under_way:
                if len(self._under_way) >= MAX_CONVERSIONS:
                    raise TooManyTransfers("conversions", MAX_CONVERSIONS)
                self._under_way[key] = self._worker.submit(self._convert, described, key)
            return self._under_way[key]

    def clean(self) -> None:
        """Remove what is of no version any more, what is unfinished, and what was not used for longest."""
        if not self._root.is_dir():
            return
        with self._lock:
            busy = {UNFINISHED + key for key in self._under_way}
        folders = [path for path in self._root.iterdir() if path.name not in busy]
        keys = {_key(version) for version in self._store.list()}
        kept = sorted((path for path in folders if path.name in keys), key=_used, reverse=True)[:KEPT]
        for path in folders:
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """End a conversion that is under way; who waits for one is told that the server goes down."""
        with self._lock:
            self._is_closed = True
            child = self._child
        if child is not None:
            child.kill()
        # Those that wait end as soon as they begin.
        self._worker.shutdown()

    def _convert(self, version: ModelVersion, key: str) -> None:
        """On the worker: run the program, and put what it made in place."""
        unfinished = self._root / (UNFINISHED + key)
        try:
            if self._is_closed:
                raise _shutting_down()
            self.clean()
            folder = self._store.folder(version.version)
            inputs = [verify_file(folder, version, name) for name in (KERAS_MODEL, ARTIFACT)]
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            self._run(inputs, unfinished)
            self._put_in_place(unfinished, key)
            log.info("version converted", extra={"model_version": version.version})
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            with self._lock:
                del self._under_way[key]

    def _run(self, inputs: list[Path], out: Path) -> None:
        """Run the program until it has ended. Raises DiskFull, Unavailable, ShuttingDown, RuntimeError."""
        model, artifact = map(str, inputs)
        arguments = ["--model", model, "--artifact", artifact, "--out", str(out)]
        with (
            tempfile.TemporaryDirectory(dir=out, prefix="scratch-") as scratch,
            tempfile.TemporaryFile() as log_file,
        ):
            with self._lock:
                if self._is_closed:
                    raise _shutting_down()
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "server.trainer.convert", *arguments],
                    # Open for as long as this process lives: the program ends with it.
                    stdin=subprocess.PIPE,
                    stdout=log_file,
                    stderr=log_file,
                    env=child_environment(os.environ, Path(scratch)),
                    # A group of its own, but no session: as a training has it.
                    process_group=0,
                )
            with self._child as child:
                try:
                    code = child.wait(self._timeout_s)
                except subprocess.TimeoutExpired:
                    child.kill()
                    raise Unavailable(
                        f"the conversion took longer than {self._timeout_s:g} s and was ended: "
                        "the machine is overloaded",
                        retry_after_s=RETRY_AFTER_S,
                    ) from None
                finally:
                    with self._lock:
                        self._child = None
            if self._is_closed:
                raise _shutting_down()
            if code:
                log_file.seek(0)
                raise _failed(code, log_file.read().decode(errors="replace").strip())

    def _put_in_place(self, unfinished: Path, key: str) -> None:
        records = {
            name: {"sha256": sha256_of(unfinished / name), "bytes": (unfinished / name).stat().st_size}
            for name in CONVERTED.values()
        }
        for name in CONVERTED.values():
            sync(unfinished / name)
        write_durably(unfinished / MANIFEST, json.dumps(records, indent=2) + "\n")
        shutil.rmtree(self._root / key, ignore_errors=True)  # A damaged one.
        unfinished.rename(self._root / key)
        sync(self._root)


def _key(version: ModelVersion) -> str:
    return "-".join(version.files[name].sha256[:16] for name in (ARTIFACT, KERAS_MODEL))


def _read_manifest(folder: Path) -> Mapping[str, FileRecord]:
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {name: FileRecord(**record) for name, record in values.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("exports to be made anew", extra={"folder": folder.name, "reason": str(error)})
        return {}


def _is_whole(path: Path, record: FileRecord) -> bool:
    try:
        return path.stat().st_size == record.bytes and sha256_of(path) == record.sha256
    except OSError:
        return False


def _used(folder: Path) -> float:
    """When it was used last, in seconds."""
    return folder.stat().st_mtime


def _failed(code: int, said: str) -> Exception:
    """Why the program ended with this code, by what it said."""
    # TensorFlow and HDF5 lose the error's number on the way, and keep its words.
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return DiskFull()
    if code == -signal.SIGKILL:
        return Unavailable(
            "the conversion was ended by the system, most likely for want of memory; try again when the "
            "machine has more of it free",
            retry_after_s=RETRY_AFTER_S,
        )
    return RuntimeError(f"the conversion ended with {code}: {' '.join(said.splitlines()[-1:])}")


def _shutting_down() -> DigitsError:
    return ShuttingDown("the server is going down; ask again when it is back", retry_after_s=2.0)
