"""The form of a backup: a .tar.gz of plain files, and first among them what the others must be.

    manifest.json     format, moment and revision; size and SHA-256 of every file that follows
    digits.db         …

An archive may come from anywhere and may have been cut off or altered on the way, so it is read by this
module's own few lines: each entry is a plain file of the manifest, of its size there, and nothing else is
accepted. Memory holds one piece of a file, and the disk never more than the manifest announced.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from server.models import FileRecord
from server.models.files import sync

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK = tarfile.BLOCKSIZE
PIECE = 2**20
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_FILES = 250_000
MAX_FILE_BYTES = 2**44
# tar keeps a name of more than 100 characters as a file before the file; no name on a disk is longer.
MAX_NAME_BYTES = 4096
# What may stand behind the end: tar fills its last record with zeros.
MAX_REST = 2**16
# Weights and PNGs hardly get smaller, and the database does at any level.
COMPRESSION = 3

# What a backup holds of a data folder; `server.backup.contents` puts it together.
ROOTS = ("digits.db", "models", "datasets", "checkpoints", "tensorboard", "logs")

SHA256 = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"[\w.@+=-]{1,255}", re.ASCII)

Report = Callable[[int], None]
"""Told of each piece, by the number of its bytes."""


class BadArchive(Exception):
    """An archive that is no whole backup. The message says what is wrong with it."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    made: str
    """When, ISO 8601."""
    revision: str
    """Of the database; see `server.database.revision`."""
    files: Mapping[str, FileRecord]
    """By path, as below the data folder, with / between its parts."""
    database: str = ""
    """Where the rows are that belong to the files, when they are not among these: "postgresql"."""
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(record.bytes for record in self.files.values())

    @property
    def versions(self) -> int:
        """How many model versions there are."""
        return len({path.split("/")[1] for path in self.files if re.match(r"models/\d+/", path)})


def write_archive(out: IO[bytes], manifest: Manifest, folder: Path, report: Report) -> None:
    """Write the files of a manifest, which lie below `folder` and do not change, to a stream.

    Of a file that has grown since only what the manifest speaks of is written. Raises OSError.
    """
    text = json.dumps(asdict(manifest), ensure_ascii=False).encode()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT, bufsize=PIECE) as tar,
    ):
        tar.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
        for path, record in manifest.files.items():
            with (folder / path).open("rb") as file:
                tar.addfile(_entry(path, record.bytes), _Watched(file, report))  # type: ignore[arg-type]


def read_archive(file: IO[bytes], folder: Path, room: int, report: Report) -> Manifest:
    """Unpack a backup from a stream into an empty folder, and give what it holds, all of it checked.

    `room`: how many bytes there may be. Raises BadArchive, or OSError when `folder` cannot be written.
    """
    try:
        entries = _entries(gzip.GzipFile(fileobj=file))
        name, size, read = next(entries, ("", 0, _nothing))
        if name != MANIFEST or size > MAX_MANIFEST_BYTES:
            raise BadArchive(f"expected a backup, whose first file is {MANIFEST}, got something else")
        manifest = _read_manifest(b"".join(read()))
        if manifest.bytes > room:
            raise BadArchive(
                f"it unpacks to {manifest.bytes:,} bytes, and there is room for {room:,} on the disk of the "
                "data folder"
            )
        missing = dict(manifest.files)
        for name, size, read in entries:
            record = missing.pop(name, None)
            if record is None or record.bytes != size:
                raise BadArchive(f"{name!r} ({size:,} bytes) is not what its {MANIFEST} announces")
            _unpack(folder / name, read(), record, report)
        if missing:
            raise BadArchive(f"{len(missing):,} of its files are missing, such as {min(missing)}")
        return manifest
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.HeaderError) as error:
        raise BadArchive(f"it is damaged, or was cut off ({str(error) or type(error).__name__})") from error


def sha256_of(path: Path, size: int) -> str:
    """The SHA-256 of the first `size` bytes of a file. Raises OSError, EOFError when it has fewer."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0:
            piece = file.read(min(PIECE, size))
            if not piece:
                raise EOFError(f"{path} became shorter while it was read")
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


class _Watched:
    """A file that tells how much is read of it."""

    def __init__(self, file: IO[bytes], report: Report) -> None:
        self._file = file
        self._report = report

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._report(len(data))
        return data


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """An entry that tells nothing of who made it, or where."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


Pieces = Callable[[], Iterator[bytes]]


def _nothing() -> Iterator[bytes]:
    return iter(())


def _entries(file: gzip.GzipFile) -> Iterator[tuple[str, int, Pieces]]:
    """Name, size and content of each entry, which has to be read before the next.

    Raises what `read_archive` turns into BadArchive.
    """
    long_name = ""
    while (block := _exactly(file, BLOCK)).strip(b"\0"):
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except UnicodeDecodeError:
            raise BadArchive("a name in it is no text") from None
        if header.type == tarfile.GNUTYPE_LONGNAME and header.size <= MAX_NAME_BYTES:
            long_name = b"".join(_pieces(file, header.size)).rstrip(b"\0").decode("utf-8", "replace")
            continue
        name = long_name or header.name
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or header.size < 0:
            raise BadArchive(f"expected plain files only, got {name!r} of tar's type {header.type!r}")
        yield name, header.size, lambda size=header.size: _pieces(file, size)  # type: ignore[misc]
        long_name = ""
    # To the very end, where gzip's own checksum is.
    rest = file.read(MAX_REST + 1)
    if len(rest) > MAX_REST or rest.strip(b"\0"):
        raise BadArchive("something stands behind its end")


def _pieces(file: gzip.GzipFile, size: int) -> Iterator[bytes]:
    """The content of an entry, and past what fills its last block."""
    left = size
    while left:
        piece = _exactly(file, min(PIECE, left))
        left -= len(piece)
        yield piece
    _exactly(file, -size % BLOCK)


def _exactly(file: gzip.GzipFile, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it ends too early")
    return data


def _unpack(path: Path, pieces: Iterator[bytes], record: FileRecord, report: Report) -> None:
    digest = hashlib.sha256()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        out = path.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise BadArchive(f"{path.name!r} is a file and a folder in it") from None
    with out:
        for piece in pieces:
            digest.update(piece)
            out.write(piece)
            report(len(piece))
    if digest.hexdigest() != record.sha256:
        raise BadArchive(f"{path.name} is damaged: its checksum is not the one in {MANIFEST}")
    sync(path)


def _read_manifest(text: bytes) -> Manifest:
    try:
        values = json.loads(text)
        if values["format"] != FORMAT:
            raise BadArchive(f"expected a backup of format {FORMAT}, got {values['format']!r}")
        files = {str(path): FileRecord(**record) for path, record in values["files"].items()}
        database = str(values.get("database", ""))
        manifest = Manifest(str(values["made"]), str(values["revision"]), files, database)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadArchive(f"{MANIFEST} makes no sense ({type(error).__name__}: {error})") from None
    if len(files) > MAX_FILES:
        raise BadArchive(f"expected at most {MAX_FILES:,} files, got {len(files):,}")
    for path, record in files.items():
        _check(path, record)
    return manifest


def is_inside(path: str) -> bool:
    """Whether a path leads to a file of a data folder that a backup may hold, and nowhere else."""
    parts = path.split("/")
    return parts[0] in ROOTS and all(PART.fullmatch(part) and part not in (".", "..") for part in parts)


def _check(path: str, record: FileRecord) -> None:
    """Raises BadArchive for what is no file of a data folder, or is not described."""
    if not is_inside(path):
        raise BadArchive(f"{path!r} is no file of a data folder")
    is_size = type(record.bytes) is int and 0 <= record.bytes <= MAX_FILE_BYTES
    if not is_size or not SHA256.fullmatch(str(record.sha256)):
        raise BadArchive(f"{MANIFEST} tells no size and checksum of {path!r}")
