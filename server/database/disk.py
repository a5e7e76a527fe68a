"""What the disk says of itself, where SQLite says no more than that reading or writing failed."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

# SQLITE_IOERR, and SQLITE_CANTOPEN for the files beside a database, without the upper bits of longer codes.
_UNNAMED = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def name_fault(error: BaseException, folder: Path) -> None:
    """Raise the disk's own error in the place of SQLite's `error`, if a write shows that it has one."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _UNNAMED:
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as fault:
        raise fault from error
