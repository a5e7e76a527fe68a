"""What to tell of faults that are not the code's own: the disk's, the database's, a training's."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable

from server.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseUnreachable,
    DigitsError,
    DiskFailing,
    DiskFull,
    DiskReadOnly,
)

# What the system calls a disk that is full (a quota and a limit on the size of files are the same to who
# writes), one that is not written, and one that fails.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
FAILING = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV)

# The same in SQLite's codes, without what stands in the upper bits of longer ones.
_BY_SQLITE: dict[int, type[DigitsError]] = {
    sqlite3.SQLITE_FULL: DiskFull,
    sqlite3.SQLITE_READONLY: DiskReadOnly,
    sqlite3.SQLITE_IOERR: DiskFailing,
    # A file of the database that was there at start: the folder is gone, or may not be entered any more.
    sqlite3.SQLITE_CANTOPEN: DiskFailing,
    sqlite3.SQLITE_CORRUPT: DatabaseDamaged,
    sqlite3.SQLITE_NOTADB: DatabaseDamaged,
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
}

# The same in PostgreSQL's, https://www.postgresql.org/docs/current/errcodes-appendix.html: the first of these
# with which a code begins decides.
_BY_POSTGRESQL: tuple[tuple[str, Callable[[], DigitsError]], ...] = (
    ("40", DatabaseBusy),  # Two transactions that wait for each other.
    ("55P03", DatabaseBusy),  # A lock that did not come free.
    ("57014", DatabaseBusy),  # A statement that took too long.
    ("53100", lambda: DiskFull("database")),
    ("53", DatabaseBusy),  # Out of connections, or of memory.
    ("XX001", DatabaseDamaged),
    ("XX002", DatabaseDamaged),
    ("08", DatabaseUnreachable),
    ("57", DatabaseUnreachable),  # It goes down, or starts.
    ("58", DatabaseUnreachable),  # Its disk fails.
    ("25006", DatabaseUnreachable),  # After a failover: this one only reads.
    ("28", DatabaseUnreachable),
    ("3D000", DatabaseUnreachable),
    ("42501", DatabaseUnreachable),  # What it was allowed was taken away.
)


class TrainingDiverged(Exception):
    """The loss is no number any more."""

    def __init__(self, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"the loss became infinite or not a number in epoch {epoch}: the steps are too large; "
            f"start again with a learning rate lower than {learning_rate:g}"
        )


def refusal_of(error: BaseException) -> DigitsError | None:
    """What a caller is told of an error that disk or database caused; None for any other, which is a bug."""
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", None)
            if code is not None and (refusal := _BY_SQLITE.get(code & 0xFF)):
                return refusal()  # type: ignore[call-arg]  # Each says its own sentence.
        if (told := _by_postgresql(cause)) is not None:
            return told
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            if cause.errno in FULL:
                return DiskFull()
            if cause.errno in READ_ONLY:
                return DiskReadOnly()
            if cause.errno in FAILING:
                return DiskFailing()
    return None


def _by_postgresql(cause: BaseException) -> DigitsError | None:
    """The same of an error of psycopg's, or of the pool of connections, which are known by their names:
    nothing is imported that a server without PostgreSQL does not need.
    """
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(cause).__mro__}
    if "sqlalchemy.exc.TimeoutError" in names:
        return DatabaseBusy()
    if "psycopg.Error" not in names:
        return None
    code = getattr(cause, "sqlstate", None)
    if code is None:
        # It is not PostgreSQL that speaks, but who could not reach it.
        is_cut_off = names & {"psycopg.OperationalError", "psycopg.InterfaceError"}
        return DatabaseUnreachable() if is_cut_off else None
    return next((refusal() for start, refusal in _BY_POSTGRESQL if code.startswith(start)), None)


def explain(error: BaseException) -> str:
    """One sentence on a failed training: the cause, and what to do about it."""
    if isinstance(error, TrainingDiverged):
        return str(error)
    if isinstance(error, DigitsError):
        return error.message
    if _is_disk_full(error):
        return "the disk is full; free some space in the data folder and start again"
    if isinstance(refusal_of(error), DiskReadOnly):
        return f"the data folder cannot be written ({_first_line(error)}); make it writable and start again"
    if _is_out_of_memory(error):
        return (
            "out of memory: start again with a smaller batch size, or when the machine has more memory free"
        )
    if isinstance(error, OSError):
        return f"a file could not be read or written ({error}); check the data folder and start again"
    what = f"{type(error).__name__}: {_first_line(error)}"
    return f"a fault in the training program ({what}); the run's log tells more"


def _is_disk_full(error: BaseException) -> bool:
    # HDF5 and protobuf wrap the system's error: the code is lost, its words are not.
    return any(
        (isinstance(cause, OSError) and cause.errno in FULL) or "No space left on device" in str(cause)
        for cause in _causes(error)
    )


def _is_out_of_memory(error: BaseException) -> bool:
    # TensorFlow's ResourceExhaustedError is known by its name: this module must not import TensorFlow.
    return any(
        isinstance(cause, MemoryError)
        or type(cause).__name__ == "ResourceExhaustedError"
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
