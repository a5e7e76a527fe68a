"""The digits on disk, ready to be mapped into memory.

    <root>/current.json        names the folder in use, its source, and the files it was made from
    <root>/06b0d1f124c4e5fa/   one folder for each content, named by its checksum and never changed
        manifest.json          size and sha256 of every file beside it
        builtin_images.npy     (5000, 28, 28): 3,500 to train, 500 to validate, 1,000 to test; and labels
        builtin_positions.npy  (5000,) where each of them stands in MNIST's training set   ┐
        mnist_rest_images.npy  (55000, 28, 28) and labels                                  ├ only with MNIST
        mnist_test_images.npy  (10000, 28, 28) and labels                                  ┘
    <root>/downloads/          MNIST as it was downloaded

A folder is written under another name, flushed, and renamed; `current.json` is replaced in the same way. A
crash at any instant leaves either the old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from server.datasets.partitions import Digits
from server.datasets.source import DataSource
from server.errors import DatasetUnavailable

FORMAT = 1
EXIT_REFUSED = 2  # of the preparation: the digits cannot be had as asked for; one sentence says why
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Current:
    """What `current.json` says. `made_from`: what tells that the files read are unchanged."""

    folder: str
    source: DataSource
    made_from: Mapping[str, Any]


def read_current(root: Path) -> Current | None:
    """What is prepared under `root`, or None where nothing is, or nothing that this version can read."""
    try:
        values = json.loads((root / "current.json").read_text())
        if values["format"] != FORMAT:
            return None
        return Current(values["folder"], DataSource.from_json(values["source"]), values["made_from"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def write_current(root: Path, current: Current) -> None:
    """Make `current` what is in use, in one step."""
    values = {
        "format": FORMAT,
        "folder": current.folder,
        "source": current.source.to_json(),
        "made_from": current.made_from,
    }
    unfinished = root / f"{_UNFINISHED}current.json"
    with unfinished.open("w") as file:
        json.dump(values, file, indent=2)
        _flush(file)
    unfinished.replace(root / "current.json")
    _flush_folder(root)


def write_folder(root: Path, sha256: str, arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Write `arrays` as the folder for the content `sha256`; returns its name."""
    name = folder_name(sha256)
    unfinished = root / f"{_UNFINISHED}{name}"
    unfinished.mkdir()
    files = {}
    for array_name, array in arrays.items():
        path = unfinished / f"{array_name}.npy"
        with path.open("wb") as file:
            _save(file, array)
            _flush(file)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    with (unfinished / "manifest.json").open("w") as file:
        json.dump({"format": FORMAT, "sha256": sha256, "files": files}, file, indent=2)
        _flush(file)
    _flush_folder(unfinished)
    if (root / name).exists():  # a damaged one: a folder cannot be renamed onto another
        (root / name).rename(root / f"{_UNFINISHED}damaged-{name}")
    unfinished.rename(root / name)
    _flush_folder(root)
    remove_unfinished(root)
    return name


def folder_name(sha256: str) -> str:
    return sha256[:16]


def _save(file: IO[Any], array: NDArray[np.generic]) -> None:
    """As `np.save` does, which of a full disk tells no more than how many items it has written."""
    array = np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8))


def remove_unfinished(root: Path) -> None:
    """Remove what an interrupted preparation left behind. Only while no other preparation runs."""
    for path in root.glob(f"{_UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_intact(folder: Path) -> bool:
    """Whether every file of a prepared folder is there, and has the content that was written."""
    try:
        files = _manifest(folder)
        return all(_sha256(folder / name) == entry["sha256"] for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def open_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a prepared folder by name, mapped into memory, read-only.

    Sizes are checked, contents are not: that takes `is_intact` a noticeable time. Raises DatasetUnavailable.
    """
    try:
        arrays: dict[str, NDArray[Any]] = {}
        for name, entry in _manifest(folder).items():
            path = folder / name
            if path.stat().st_size != entry["bytes"]:
                raise ValueError(f"{name} has {path.stat().st_size} bytes, {entry['bytes']} were written")
            # Plain arrays: the memmap class would follow the digits into all that is computed from them.
            arrays[path.stem] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        return arrays
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetUnavailable(
            f"the prepared digits in {folder} are damaged ({error}); restart the server"
        ) from error


def paired(arrays: Mapping[str, NDArray[Any]], name: str) -> Digits:
    """The images and labels that were written as `<name>_images` and `<name>_labels`."""
    return Digits(arrays[f"{name}_images"], arrays[f"{name}_labels"])


def _manifest(folder: Path) -> Mapping[str, Any]:
    values = json.loads((folder / "manifest.json").read_text())
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}, not {FORMAT}")
    files = values["files"]
    if not isinstance(files, dict):
        raise TypeError("files is no object")
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
