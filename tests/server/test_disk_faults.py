"""What a caller is told when the disk or the database does not take something; a bug stays a bug."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DatabaseError

from server.database import deployment_requests, open_database
from server.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DigitsError,
    DiskFailing,
    DiskFull,
    DiskReadOnly,
)
from server.failures import refusal_of


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EFBIG, DiskFull),
        (errno.EROFS, DiskReadOnly),
        (errno.EACCES, DiskReadOnly),
        (errno.EIO, DiskFailing),
        (errno.ESTALE, DiskFailing),
    ],
    ids=errno.errorcode.get,
)
def test_errors_of_the_system_are_told_by_what_they_mean(code: int, told: type[DigitsError]) -> None:
    assert type(refusal_of(OSError(code, os.strerror(code)))) is told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_READONLY_DBMOVED, DiskReadOnly),
        (sqlite3.SQLITE_IOERR_FSYNC, DiskFailing),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, DiskFailing),
        (sqlite3.SQLITE_CORRUPT_INDEX, DatabaseDamaged),
        (sqlite3.SQLITE_NOTADB, DatabaseDamaged),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
    ],
)
def test_errors_of_sqlite_are_told_by_what_they_mean(code: int, told: type[DigitsError]) -> None:
    error = sqlite3.OperationalError("in SQLite's words")
    error.sqlite_errorcode = code
    assert type(refusal_of(error)) is told


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        FileNotFoundError(errno.ENOENT, "a file that should be there"),
        ConnectionResetError(errno.ECONNRESET, "somebody else's end"),
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        sqlite3.ProgrammingError("a bug in a query"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_bugs_are_not_blamed_on_the_disk(error: Exception) -> None:
    assert refusal_of(error) is None


def test_a_database_that_another_program_holds_is_told_to_be_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.database.engine.BUSY_TIMEOUT_MS", 50)
    database = open_database(f"sqlite:///{tmp_path / 'digits.db'}")
    other = sqlite3.connect(tmp_path / "digits.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    values = {"request_id": "1", "model_version": 1}
    with pytest.raises(DatabaseError) as raised, database.begin() as connection:
        connection.execute(insert(deployment_requests).values(created=None, **values))
    assert isinstance(refusal_of(raised.value), DatabaseBusy)
    other.close()
    database.dispose()


def test_a_query_that_meets_damage_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "digits.db"
    database = open_database(f"sqlite:///{path}")
    database.dispose()
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DatabaseError) as raised, database.begin() as connection:
        connection.execute(insert(deployment_requests).values(request_id="1", model_version=1))
    assert isinstance(refusal_of(raised.value), DatabaseDamaged)
    database.dispose()


def test_where_sqlite_only_says_that_a_file_cannot_be_opened_the_disk_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'digits.db'}")
    database.dispose()
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    (tmp_path / "data").rmdir()
    # The folder is gone, as when its disk was unmounted.
    with pytest.raises(FileNotFoundError), database.connect():
        pass
    database.dispose()
