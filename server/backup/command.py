"""`python -m server backup FILE` and `python -m server restore FILE [--replace]`."""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from server.addresses import place_of
from server.backup.archive import BadArchive, Manifest
from server.backup.backup import take_backup
from server.backup.restore import restore_backup
from server.config import CannotStart, read_data_folder, read_database
from server.database import HEAD
from server.database.revision import read_revision
from server.models.files import sync

STANDARD = "-"
EXIT_FAILED = 1
TELL_EVERY_S = 5.0


def run(arguments: Sequence[str]) -> int:
    """Do it. Exit code 0 when it is done, 1 when it failed, and CannotStart when it is refused."""
    chosen = _parse(arguments)
    data, url = read_data_folder(os.environ), read_database(os.environ)
    # Neither leaves anything behind when it is told to end.
    signal.signal(signal.SIGTERM, _end)
    try:
        if chosen.what == "backup":
            _backup(data, chosen.file, url)
        else:
            _restore(data, chosen.file, chosen.replace, url is not None)
    except BadArchive as error:
        return _failed(f"{chosen.file}: this is no whole backup: {error}. Nothing was changed")
    except (OSError, sqlite3.Error, DBAPIError) as error:
        return _failed(f"{chosen.what} of {data} failed: {error}")
    except KeyboardInterrupt:
        return _failed(f"{chosen.what} broken off. Nothing was changed")
    return 0


def _backup(data: Path, file: str, url: str | None) -> None:
    started = time.monotonic()
    with _database(url) as database, _new_file(file, data) as out:
        taken = take_backup(data, out, _Progress("backup"), database)
    for warning in taken.warnings:
        _say(f"warning: {warning}")
    _say(_summary("backed up", taken.manifest, taken.samples, taken.runs, started))
    if url is not None:
        _say(
            f"the rows are in {place_of(url)}, and not in this file: back that up by PostgreSQL's own tools, "
            "such as pg_dump, each time before this (docs/operations.md)"
        )


@contextmanager
def _database(url: str | None) -> Iterator[Engine | None]:
    """The database on a PostgreSQL server, to be read; None for a file in the data folder."""
    if url is None:
        yield None
        return
    from server.database.postgresql import await_server, create_postgresql_engine

    engine = create_postgresql_engine(url)
    try:
        await_server(engine, patience_s=0)
        with engine.connect() as connection:
            found = read_revision(connection)
        if found != HEAD:
            raise CannotStart(
                f"DIGITS_DATABASE_URL: expected the database of a server of this release, revision {HEAD}, "
                f"got {found or 'an empty one'}"
            )
        yield engine
    finally:
        engine.dispose()


def _restore(data: Path, file: str, is_replacing: bool, database_is_elsewhere: bool) -> None:
    started = time.monotonic()
    with _existing_file(file) as archive:
        restored = restore_backup(data, archive, is_replacing, _Progress("restore"), database_is_elsewhere)
    _say(_summary("restored", restored.manifest, restored.samples, restored.runs, started))
    _say(f"made {restored.manifest.made}; start the server on {data}")
    if restored.aside is not None:
        _say(f"what was there before is in {restored.aside}: remove that when all is well")


@contextmanager
def _new_file(file: str, data: Path) -> Iterator[IO[bytes]]:
    """A file to write, in place once it is whole; or standard output."""
    if file == STANDARD:
        if sys.stdout.isatty():
            raise CannotStart("expected standard output in a file or a program, got a terminal; add > FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file).absolute()
    if path.exists():
        raise CannotStart(f"expected the name of a new file, got {file}, which is there already")
    if data.absolute() in path.parents:
        raise CannotStart(f"expected a file outside of {data}, which it is the backup of, got {file}")
    part = path.with_name(path.name + ".part")
    try:
        # People's own drawings are in it.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.rename(path)
        sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _existing_file(file: str) -> Iterator[IO[bytes]]:
    if file == STANDARD:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as archive:
        yield archive


class _Progress:
    """Says now and then how much is done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = 0
        self._told = time.monotonic()

    def __call__(self, size: int) -> None:
        self._done += size
        if time.monotonic() - self._told >= TELL_EVERY_S:
            self._told = time.monotonic()
            _say(f"{self._what}: {self._done / 1e6:,.0f} MB so far")


def _summary(verb: str, manifest: Manifest, samples: int | None, runs: int | None, started: float) -> str:
    what = ", ".join(
        f"{number:,} {name}" + ("" if number == 1 else "s")
        for number, name in (
            (manifest.versions, "model version"),
            (samples, "sample"),
            (runs, "training run"),
        )
        if number is not None
    )
    size = f"{len(manifest.files):,} files, {manifest.bytes / 1e6:,.1f} MB"
    return f"{verb}: {what}; {size} in {time.monotonic() - started:.1f} s"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m server", description="Back up DIGITS_DATA, or restore it."
    )
    commands = parser.add_subparsers(dest="what", required=True)
    backup = commands.add_parser("backup", help="copy DIGITS_DATA, while its server runs or not")
    backup.add_argument("file", metavar="FILE", help="a new .tar.gz; - for standard output")
    restore = commands.add_parser("restore", help="let what a backup holds become DIGITS_DATA")
    restore.add_argument("file", metavar="FILE", help="what backup wrote; - for standard input")
    restore.add_argument("--replace", action="store_true", help="put aside what is there, in a folder within")
    return parser.parse_args(arguments)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _failed(why: str) -> int:
    _say(why)
    return EXIT_FAILED


def _say(what: str) -> None:
    """On standard error: the archive itself may go to standard output."""
    sys.stderr.write(f"digits: {what}\n")
