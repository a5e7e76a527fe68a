"""Putting a backup in the place of what is there: unpacked and checked beside it first, then all at once."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from server.backup.archive import BadArchive, Manifest, Report, read_archive
from server.backup.backup import count
from server.backup.contents import DATABASE
from server.backup.swap import ASIDE, NEW, RESTORE, entries, finish, swap
from server.claim import own
from server.config import CannotStart
from server.database.copies import STAMP
from server.database.integrity import check
from server.database.revision import refuse_newer


@dataclass(frozen=True)
class Restored:
    """A data folder that was restored."""

    manifest: Manifest
    samples: int | None
    runs: int | None
    """None, both, where the rows are on a PostgreSQL server."""
    aside: Path | None
    """Where what was there before is kept; None when there was nothing."""


def restore_backup(
    data: Path, archive: IO[bytes], is_replacing: bool, report: Report, database_is_elsewhere: bool = False
) -> Restored:
    """Let what a backup holds become the data folder, all of it or nothing.

    What is there is kept in a folder within, if `is_replacing`. `report` is told the bytes of each piece.
    `database_is_elsewhere`: on a PostgreSQL server, whose own tools restore it. Raises CannotStart for a
    folder that a server uses, or that is not empty and not to be replaced, and for a backup of a newer
    release, or whose rows are in the other kind of database; BadArchive for one that is not whole; OSError.
    """
    with own(data, who="a restore"):
        finish(data)
        is_empty = not entries(data)
        if not is_empty and not is_replacing:
            raise CannotStart(
                f"DIGITS_DATA: {data} is not empty; --replace puts what is there aside, in a folder within it"
            )
        new = data / RESTORE / NEW
        try:
            new.mkdir(parents=True)
            manifest = read_archive(archive, new, shutil.disk_usage(data).free, report)
            samples, runs = _check_database(new / DATABASE, manifest, database_is_elsewhere)
            _hand_over(data)
        except BaseException:
            shutil.rmtree(data / RESTORE, ignore_errors=True)
            raise
        aside = _aside(data)
        swap(data, aside)
        return Restored(manifest, samples, runs, None if is_empty else data / aside)


def _aside(data: Path) -> str:
    """A name for what is put aside, which nothing has: two restores may come within a second."""
    name = f"{ASIDE}{datetime.now(UTC).strftime(STAMP)}"
    others = (f"{name}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], others) if not (data / each).exists())


def _check_database(
    database: Path, manifest: Manifest, is_elsewhere: bool
) -> tuple[int, int] | tuple[None, None]:
    """How many samples and runs there are; None, both, where they are elsewhere."""
    refuse_newer(manifest.revision, f"the backup of {manifest.made}")
    if is_elsewhere != bool(manifest.database):
        raise CannotStart(
            "DIGITS_DATABASE_URL: expected the PostgreSQL database that belongs to this backup, which holds "
            "none; restore that first, by PostgreSQL's own tools"
            if manifest.database
            else f"DIGITS_DATABASE_URL: expected none, because the backup holds its own {DATABASE}"
        )
    if is_elsewhere:
        return None, None
    if not database.exists():
        raise BadArchive(f"it holds no {DATABASE}")
    try:
        faults = check(database)
    except sqlite3.DatabaseError as error:
        faults = str(error)
    if faults:
        raise BadArchive(f"its {DATABASE} is damaged ({faults})")
    return count(database)


def _hand_over(data: Path) -> None:
    """What root restores belongs to whom the data folder belongs to: the server need not be root."""
    if os.geteuid() != 0:
        return
    owner = data.stat()
    for path in (data / RESTORE).rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
