"""What travels between the owner of the runs and the node that trains one: they share no folder.

The owner sends one `Order`, and gets `Parcel`s until one says how the program ended. All files are told by
their content; whoever gets them writes them where they belong on its side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.datasets.prepared import Current, read_current
from server.errors import DatasetUnavailable
from server.protocol import CHECKPOINT, TrainingSpec

CURRENT = "current.json"


@dataclass(frozen=True)
class Order:
    """One attempt at a run: what to do, and the files that it needs."""

    spec: TrainingSpec
    """Its folders are the owner's; the node puts its own in their place."""
    digits_key: str
    """Tells the content of the prepared digits, for the node that has them already."""
    digits: Sequence[Any]
    """A reference to the object that `pack_digits` gave, in a list so that Ray does not fetch it unasked."""
    base: Mapping[str, bytes] | None
    """The files of the version to go on from; None: begin anew."""
    samples: bytes | None
    """The file of the samples to learn; None: none."""
    checkpoint: bytes | None
    """Where an earlier attempt was; None: there was none, or it saved nothing."""


@dataclass(frozen=True)
class Place:
    """Where an order is carried out."""

    node_id: str
    name: str
    """The node's host name."""


@dataclass(frozen=True)
class Piece:
    """What was written to a file that only grows."""

    name: str
    offset: int
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What has come of an order since the last one. Files come before the event that tells of them."""

    log: bytes = b""
    """What the program has printed."""
    tensorboard: tuple[Piece, ...] = ()
    checkpoint: bytes | None = None
    version: Mapping[str, bytes] = field(default_factory=dict)
    """The files of the staged version; with the event `done` only."""
    event: dict[str, Any] | None = None
    """An event of the program; see `server.protocol`."""
    is_last: bool = False
    ending: str = ""
    """How the program ended; empty: well."""
    was_cut_off: bool = False


def pack_digits(root: Path) -> dict[str, bytes]:
    """The files of the prepared digits under `root`, by path. Raises DatasetUnavailable, OSError."""
    folder = _current(root).folder
    files = {f"{folder}/{name}": content for name, content in pack(root / folder).items()}
    return {**files, CURRENT: (root / CURRENT).read_bytes()}


def digits_key(root: Path) -> str:
    """What tells prepared digits from others, and from the same out of another source: a version keeps both.

    Raises DatasetUnavailable.
    """
    current = _current(root)
    told = json.dumps([current.folder, current.source.to_json()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _current(root: Path) -> Current:
    current = read_current(root)
    if current is None:
        raise DatasetUnavailable(f"no digits are prepared in {root}; restart the server")
    return current


def pack(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name. Raises OSError."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write what `pack` or `pack_digits` gave. Raises OSError."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_checkpoint(folder: Path, content: bytes) -> None:
    """Replace a run's checkpoint, from one instant to the next. Raises OSError; the old one stays then."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "checkpoint.partial"
    try:
        partial.write_bytes(content)
        partial.replace(folder / CHECKPOINT)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_if_there(path: Path | None) -> bytes | None:
    """The content of a file; None where there is none. Raises OSError."""
    try:
        return None if path is None else path.read_bytes()
    except FileNotFoundError:
        return None


class Growing:
    """The files of a folder that only grow, as far as they were read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[str, int] = {}

    def pieces(self) -> Iterator[Piece]:
        """What has come since the last call. Raises OSError."""
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            offset = self._offsets.get(path.name, 0)
            if path.is_file() and path.stat().st_size > offset:
                with path.open("rb") as file:
                    file.seek(offset)
                    content = file.read()
                self._offsets[path.name] = offset + len(content)
                yield Piece(path.name, offset, content)


def write_piece(folder: Path, piece: Piece) -> None:
    """Add a piece to the file of its name. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / piece.name
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(piece.offset)
        file.write(piece.content)
