"""One server for a data folder: a lock on a file in it, which the system lets go however its holder ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from server.config import CannotStart, InvalidSetting

LOCK = "server.lock"
"""In the data folder. What it says is of the present holder, or of the last one."""
# Nobody writes more there; whatever else is in it by mistake need not be read.
MAX_BYTES = 4096
SERVER = "the server"


@contextmanager
def own(folder: Path, address: str = "", who: str = SERVER) -> Iterator[None]:
    """Be the only one that writes a data folder, which is made if it is not there.

    `address` and `who` are for whoever is refused meanwhile, as the next server is. Raises CannotStart when
    another one has it, and names that; InvalidSetting when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Python's files are closed in programs that are started: no child holds the lock on.
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _not_writable(folder, error) from None
    try:
        _take(lock, folder)
        try:
            _describe(lock, address, who)
        except OSError as error:
            raise _not_writable(folder, error) from None
        yield
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"DIGITS_DATA: {folder} is in use by {_holder(lock)}; stop that first, or choose another folder; "
            "replicas (--read-only) may share it"
        ) from None
    except OSError as error:
        raise CannotStart(
            f"DIGITS_DATA: expected a folder on a disk that can lock files, got {str(folder)!r} "
            f"({error.strerror}): two servers there would spoil each other's work"
        ) from None


def _describe(lock: int, address: str, who: str) -> None:
    """Say who holds the lock, in one write: half a line would be read as nobody's."""
    values = {
        "who": who,
        "pid": os.getpid(),
        # In a container its id: numbers of processes mean something there only.
        "host": socket.gethostname(),
        # Port 0 is none: the system chooses one later.
        "address": "" if address.endswith(":0") else address,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = (json.dumps(values) + "\n").encode()
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def _holder(lock: int) -> str:
    """Who holds the lock, in words."""
    try:
        values = json.loads(os.pread(lock, MAX_BYTES, 0))
        since = datetime.fromisoformat(values["since"])
        at = f" at {values['address']}" if values["address"] else ""
        process = f"process {int(values['pid'])} on {values['host']}"
        return f"{values['who']}{at} ({process}, since {since:%Y-%m-%d %H:%M:%S} UTC)"
    except (ValueError, KeyError, TypeError):
        return "another process, which has not said yet who it is"


def _not_writable(folder: Path, error: OSError) -> InvalidSetting:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "make room on its disk" if full else "replicas (--read-only) only read"
    return InvalidSetting(
        f"DIGITS_DATA: expected a folder that can be written, got {str(folder)!r} ({error.strerror}); {hint}"
    )
