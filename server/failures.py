"""What to tell of faults that are not the code's own: the disk's, the database's, a training's."""

from __future__ import annotations

import errno
import sqlite3

from server.errors import (
    DatabaseBusy,
    DatabaseDamaged,
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
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            if cause.errno in FULL:
                return DiskFull()
            if cause.errno in READ_ONLY:
                return DiskReadOnly()
            if cause.errno in FAILING:
                return DiskFailing()
    return None


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
