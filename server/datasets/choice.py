"""Which source is taken: DIGITS_MNIST, the cached download, the download, or the built-in digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.datasets.builtin import builtin_file
from server.datasets.mnist import mnist_files
from server.datasets.prepared import read_current
from server.datasets.source import SourceKind
from server.errors import DatasetUnavailable


def cached_download(root: Path) -> Path:
    """Where a downloaded MNIST is kept."""
    return root / "downloads" / "mnist.npz"


def made_from(kind: SourceKind, files: list[Path]) -> dict[str, Any]:
    """What tells that source and files are unchanged without reading them: sizes, times of change in ns."""
    states = {str(file.resolve()): file.stat() for file in files}
    return {"kind": kind.value, "files": {path: [at.st_size, at.st_mtime_ns] for path, at in states.items()}}


def is_current(root: Path, mnist: Path | None) -> bool:
    """Whether what is prepared was made from what would be chosen now, were there no network."""
    current = read_current(root)
    return current is not None and current.made_from == _made_from_now(root, mnist)


def _made_from_now(root: Path, mnist: Path | None) -> Mapping[str, Any] | None:
    try:
        if mnist is not None:
            return made_from(SourceKind.MNIST_FILE, mnist_files(mnist))
        if cached_download(root).exists():
            return made_from(SourceKind.MNIST_DOWNLOAD, [cached_download(root)])
        return made_from(SourceKind.BUILTIN, [builtin_file()])
    except (DatasetUnavailable, OSError):
        return None  # the preparation will find the same, and say it
