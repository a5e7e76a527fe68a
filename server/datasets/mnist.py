"""Reading MNIST from an npz in the layout of Keras, or from a folder of the original IDX files, plain or .gz.

Only MNIST itself is taken: the checksum of its images and labels is known, in their original order. Anything
else in MNIST's format is refused, because results "on MNIST's test set" would mean something else, and
because a model of another day may have been trained on what such a file calls its test digits.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.datasets.partitions import Digits
from server.datasets.source import content_sha256
from server.errors import DatasetUnavailable

MNIST_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"

# Name in Keras' npz, shape, name of the IDX file (some programs unpack it as "…-images.idx3-ubyte").
_ARRAYS = {
    "x_train": ((60_000, 28, 28), "train-images-idx3-ubyte"),
    "y_train": ((60_000,), "train-labels-idx1-ubyte"),
    "x_test": ((10_000, 28, 28), "t10k-images-idx3-ubyte"),
    "y_test": ((10_000,), "t10k-labels-idx1-ubyte"),
}
_EXPECTED_NPZ = "expected an npz with the arrays " + ", ".join(
    f"{name} {shape} uint8" for name, (shape, _) in _ARRAYS.items()
)
_EXPECTED_IDX = (
    "expected a folder with " + ", ".join(name for _, name in _ARRAYS.values()) + ", each plain or .gz"
)


@dataclass(frozen=True, eq=False)
class Mnist:
    """MNIST in its original order: 60,000 training and 10,000 test digits."""

    train: Digits
    test: Digits


def mnist_files(path: Path) -> list[Path]:
    """The files that MNIST at `path` is read from. Raises DatasetUnavailable when they are not there."""
    if path.is_dir():
        return [_idx_file(path, name) for _, name in _ARRAYS.values()]
    if path.is_file():
        return [path]
    raise DatasetUnavailable(
        f"DIGITS_MNIST={path}: expected an npz file or a folder of IDX files, found nothing there"
    )


def read_mnist(path: Path, sha256: str = MNIST_SHA256) -> Mnist:
    """MNIST from an npz or a folder of IDX files.

    Raises DatasetUnavailable, naming DIGITS_MNIST, when it is not there, is damaged, or is not MNIST.
    """
    files = mnist_files(path)
    try:
        arrays = _read_idx(files) if path.is_dir() else _read_npz(path)
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        expected = _EXPECTED_IDX if path.is_dir() else _EXPECTED_NPZ
        found_words = " ".join(str(error).split())  # one line, whatever the library says
        raise DatasetUnavailable(f"DIGITS_MNIST={path}: {expected}; got: {found_words}") from error
    mnist = Mnist(Digits(arrays["x_train"], arrays["y_train"]), Digits(arrays["x_test"], arrays["y_test"]))
    found = content_sha256(mnist.train, mnist.test)
    if found != sha256:
        raise DatasetUnavailable(
            f"DIGITS_MNIST={path}: expected MNIST's own 60,000 training and 10,000 test digits in their "
            f"original order (checksum {sha256[:12]}…), got other images or labels ({found[:12]}…); "
            "leave DIGITS_MNIST empty to download MNIST, or to use the built-in digits"
        )
    return mnist


def _read_npz(path: Path) -> dict[str, NDArray[np.uint8]]:
    if not zipfile.is_zipfile(path):
        raise ValueError("a file that is no complete npz")
    with np.load(path, allow_pickle=False) as archive:
        missing = [name for name in _ARRAYS if name not in archive.files]
        if missing:
            raise ValueError(f"no {', '.join(missing)} among {archive.files}")
        return {name: _checked(name, archive[name]) for name in _ARRAYS}


def _read_idx(files: list[Path]) -> dict[str, NDArray[np.uint8]]:
    return {name: _checked(name, _read_idx_file(file)) for name, file in zip(_ARRAYS, files, strict=True)}


def _idx_file(folder: Path, name: str) -> Path:
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = [folder / f"{spelling}{suffix}" for spelling in spellings for suffix in ("", ".gz")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DatasetUnavailable(f"DIGITS_MNIST={folder}: {_EXPECTED_IDX}; {name} is missing")


def _read_idx_file(path: Path) -> NDArray[np.uint8]:
    """IDX: two zero bytes, 0x08 for uint8, number of axes, each axis as a big-endian uint32, the data."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} does not begin as an IDX file of uint8 does")
    axes = content[3]
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", count=axes, offset=4))
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if data.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{path.name} says {shape} but holds {data.size} bytes")
    return data.reshape(shape)


def _checked(name: str, array: NDArray[np.generic]) -> NDArray[np.uint8]:
    shape, _ = _ARRAYS[name]
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ValueError(f"{name} {array.shape} {array.dtype}")
    small = array.astype(np.uint8)
    # Labels are often kept as int64: any integers will do, as long as nothing is lost.
    if array.dtype != np.uint8 and not np.array_equal(small, array):
        raise ValueError(f"{name} with values outside 0 to 255")
    return small
