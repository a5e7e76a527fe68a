"""Taking a backup: everything is held as it is at one moment, looked at, and written out."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Engine, func, select

from server.backup.archive import Manifest, Report, is_inside, sha256_of, write_archive
from server.backup.contents import DATABASE, MODELS, hold, staging
from server.config import CannotStart
from server.database import HEAD, samples, trainings
from server.database.integrity import check, damaged, is_damage
from server.database.revision import UNVERSIONED, read_sqlite_revision
from server.errors import DiskFull, DiskReadOnly, ModelCorrupt
from server.failures import refusal_of
from server.models import FileRecord, ModelStore
from server.models.version import verify_file


@dataclass(frozen=True)
class Taken:
    """A backup that was written."""

    manifest: Manifest
    samples: int
    runs: int
    warnings: tuple[str, ...]
    """What is wrong with the data, for a person; the rest of them is whole."""


def take_backup(data: Path, out: IO[bytes], report: Report, database: Engine | None = None) -> Taken:
    """Write what a data folder holds at this moment to a stream, while a server writes it or not.

    `report` is told the bytes of each piece, of twice the size of everything. With `database`, one on a
    PostgreSQL server, the rows are there and not in the backup. Raises CannotStart for a folder without a
    database, or with a damaged one: a backup of it would be taken for a good one. Raises OSError,
    sqlite3.Error, DBAPIError.
    """
    needed = DATABASE if database is None else MODELS
    if not (data / needed).exists():
        raise CannotStart(f"DIGITS_DATA: expected the data of a server, got {data}, where no {needed} is")
    with ExitStack() as stack:
        try:
            folder, warnings = _hold_somewhere(data, stack, database)
            faults = "" if database else check(folder / DATABASE)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            faults = str(error)
        if faults:
            raise damaged(data / DATABASE, faults)
        warnings += _damaged_versions(folder / MODELS)
        manifest = _describe(folder, warnings, report, database)
        kept, runs = count(folder / DATABASE) if database is None else count_rows(database)
        write_archive(out, manifest, folder, report)
        return Taken(manifest, kept, runs, tuple(warnings))


def _hold_somewhere(data: Path, stack: ExitStack, database: Engine | None) -> tuple[Path, list[str]]:
    """A folder that holds everything until the stack ends, and warnings.

    It is beside the data, where links take no room; on a full disk in the system's folder for such things.
    """
    elsewhere = Path(tempfile.gettempdir())
    for place in (data, elsewhere):
        with ExitStack() as attempt:
            try:
                folder = attempt.enter_context(staging(place))
                warning = hold(data, folder, database)
            except (OSError, sqlite3.Error) as error:
                if place is elsewhere or not isinstance(refusal_of(error), DiskFull | DiskReadOnly):
                    raise
                continue
            stack.enter_context(attempt.pop_all())
            return folder, [warning] if warning else []
    raise AssertionError("the last place either holds or raises")


def _damaged_versions(models: Path) -> list[str]:
    """What is wrong with the files of versions, a sentence each."""
    store, faults = ModelStore(models, is_read_only=True), []
    for number in store.numbers():
        try:
            version = store.get(number)
            for name in version.files:
                verify_file(store.folder(number), version, name)
        except ModelCorrupt as error:
            faults.append(error.message)
    return faults


def _describe(folder: Path, warnings: list[str], report: Report, database: Engine | None) -> Manifest:
    """The manifest of what lies in a folder."""
    files: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            continue
        if not is_inside(name):
            warnings.append(f"{name!r} is left out: nothing of this software has such a name")
            continue
        # What is linked may grow; what is written is what was there now.
        size = path.stat().st_size
        files[name] = FileRecord(sha256_of(path, size), size)
        report(size)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    if database is not None:
        return Manifest(made, HEAD, files, database.dialect.name)
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        revision = read_sqlite_revision(connection) or UNVERSIONED
    return Manifest(made, revision, files)


def count(database: Path) -> tuple[int, int]:
    """How many samples and runs there are; tables that an earlier release did not have hold none."""
    counts = []
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        for table in ("samples", "trainings"):
            query = f"SELECT count(*) FROM {table}"
            counts.append(connection.execute(query).fetchone()[0] if table in tables else 0)
    return counts[0], counts[1]


def count_rows(database: Engine) -> tuple[int, int]:
    """The same of a database of this release."""
    with database.connect() as connection:
        counts = [connection.execute(select(func.count()).select_from(one)) for one in (samples, trainings)]
        return counts[0].scalar_one(), counts[1].scalar_one()
