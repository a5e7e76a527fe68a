"""The features of all training digits as one version sees them, on disk.

    <root>/<artifact>-<digits>/    16 digits of either's sha256: a folder never changes
        network.onnx               the artifact without its last layer
        features.npy               (N, F) int8: a row for each training digit, scaled to its largest value
        lengths.npy                (N,) float32: the length of each row

A byte a value is half of float16 and searched several times as fast. It finds who is nearest; how near is
then computed anew (`server.explanation.neighbours`). A folder is written under another name and renamed; the
least recently used ones go when there are too many.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

NETWORK = "network.onnx"
FEATURES = "features.npy"
LENGTHS = "lengths.npy"
UNFINISHED = ".unfinished-"
# 21 MB each for the shipped network and all of MNIST.
KEPT = 4
# Rows at a time: as float32 they stay in the processor's cache.
ROWS = 256
PEAK = 127


def folder_name(artifact_sha256: str, data_sha256: str) -> str:
    return f"{artifact_sha256[:16]}-{data_sha256[:16]}"


def write_features(
    folder: Path,
    images: npt.NDArray[np.uint8],
    features: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
) -> None:
    """Compute and write the features of (N, 28, 28) images into `folder`, which is not yet in place."""
    lengths = np.empty(len(images), np.float32)
    rows: npt.NDArray[np.int8] | None = None
    for start in range(0, len(images), ROWS):
        values = features(images[start : start + ROWS])
        peaks = np.abs(values).max(axis=1, keepdims=True)
        peaks[peaks == 0] = 1.0
        small = np.rint(values / peaks * PEAK).astype(np.int8)
        if rows is None:
            shape = (len(images), small.shape[1])
            rows = np.lib.format.open_memmap(folder / FEATURES, mode="w+", dtype=np.int8, shape=shape)
        rows[start : start + len(small)] = small
        lengths[start : start + len(small)] = np.linalg.norm(small.astype(np.float32), axis=1)
    np.save(folder / LENGTHS, lengths)


def find_nearest(folder: Path, query: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """The rows that point most nearly where `query` (F,) float32 does, the nearest first: `count` ≥ 1 or all.

    The file is mapped for this search only: its pages are the system's cache, not the server's memory. Raises
    OSError or ValueError when it is not there, or not whole.
    """
    rows = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    lengths = np.load(folder / LENGTHS, allow_pickle=False)
    if rows.shape != (len(lengths), len(query)):
        raise ValueError(f"expected {(len(lengths), len(query))} features, got {rows.shape}")
    # Row by row on this thread: a matrix product would wait for a second one on a busy machine.
    products = [
        np.vecdot(rows[start : start + ROWS].astype(np.float32), query) for start in range(0, len(rows), ROWS)
    ]
    cosines = np.concatenate(products) / np.maximum(lengths, 1.0)  # No length is between 0 and 127.
    count = min(count, len(cosines))
    nearest = np.argpartition(-cosines, count - 1)[:count]
    os.utime(folder)  # Used now: another one goes first.
    return np.asarray(nearest[np.lexsort((nearest, -cosines[nearest]))])


def cosine_distances(
    rows: npt.NDArray[np.float32], query: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """1 less the cosine between each of (N, F) rows and `query` (F,): (N,), 0 is alike, 2 opposite.

    What has no feature at all is like nothing: 1.
    """
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    lengths[lengths == 0] = 1.0
    return np.asarray(np.clip(1.0 - np.vecdot(rows, query) / lengths, 0.0, 2.0))


def remove_unfinished(root: Path) -> None:
    """Remove what an interrupted preparation left behind. Only while no preparation runs."""
    for folder in root.glob(f"{UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_old(root: Path) -> None:
    """Keep the folders that were used last."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(UNFINISHED)]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
