"""Copies of an SQLite file that is in use: whole and as it was at one instant, by SQLite's own backup."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

# Copies from before migrations that are kept beside the database.
KEPT = 3
STAMP = "%Y%m%dT%H%M%SZ"


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into one new file, flushed to the disk. Others may read and write it meanwhile.

    Raises sqlite3.Error, as when the disk is full or the source damaged; no target is left then.
    """
    try:
        with (
            # Never made anew: what is not there cannot be copied.
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            # In one step: others that write would make it begin again after each.
            reading.backup(writing)
            # One file by itself, without a log beside it.
            writing.execute("PRAGMA journal_mode=DELETE")
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        for path in (target, *target.parent.glob(f"{target.name}-*")):
            path.unlink(missing_ok=True)
        raise


def keep_copy(database: Path, revision: str) -> Path:
    """Keep a copy beside a database before that is migrated from `revision`; the oldest copies go.

    Raises sqlite3.Error.
    """
    now = datetime.now(UTC).strftime(STAMP)
    copy = database.with_name(f"{database.name}.{revision}-{now}")
    copy_database(database, copy)
    for old in kept_copies(database)[KEPT:]:
        old.unlink()
    return copy


def kept_copies(database: Path) -> list[Path]:
    """The copies from before migrations, newest first."""
    copies = (path for path in database.parent.glob(f"{database.name}.*-*Z") if path.is_file())
    return sorted(copies, key=lambda path: path.name.rpartition("-")[2], reverse=True)
