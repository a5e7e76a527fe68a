"""Whether an SQLite file is whole: looked at before it is used, so that what is damaged never gets worse."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from server.config import CannotStart
from server.database.disk import name_fault

log = logging.getLogger(__name__)

# SQLITE_CORRUPT and SQLITE_NOTADB, without what stands in the upper bits of longer codes.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def refuse_damaged(path: Path, may_be_empty: bool = True) -> None:
    """Look through an SQLite file, if there is one. Raises CannotStart when it is damaged.

    A file of 0 bytes is a database that was just begun, to SQLite, unless not `may_be_empty`. The whole file
    is read: a hundredth of a second for a small one, seconds for a gigabyte. Raises OSError when the disk is
    at fault.
    """
    if not path.exists():
        return
    if not may_be_empty and path.stat().st_size == 0:
        raise damaged(path, "0 bytes are left of it")
    started = time.perf_counter()
    try:
        faults = check(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            name_fault(error, path.parent)
            raise CannotStart(f"the database {path} cannot be opened ({error})") from None
        faults = str(error)
    if faults:
        raise damaged(path, faults)
    log.debug("database whole", extra={"took_s": round(time.perf_counter() - started, 3)})


def check(path: Path) -> str:
    """What is wrong with an SQLite file, in SQLite's words; empty when it is whole.

    Raises sqlite3.DatabaseError for a file that cannot even be looked through.
    """
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("PRAGMA integrity_check(3)").fetchall()
    faults = "; ".join(" ".join(str(row[0]).split()) for row in rows)
    return "" if faults == "ok" else faults


def is_damage(error: object) -> bool:
    """Whether an error of SQLite tells of a damaged file, not of a full disk or a lock."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def damaged(path: object, faults: str) -> CannotStart:
    """The refusal of a damaged database."""
    return CannotStart(
        f"the database {path} is damaged ({faults}): restore the latest backup with `python -m server "
        "restore FILE --replace`, which keeps what is there aside (docs/operations.md tells more)"
    )
