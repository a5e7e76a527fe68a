"""The last step of a restore: what was unpacked takes the place of what is there, as if at one instant.

The data folder itself may be where a disk is mounted, which cannot be renamed. So its entries are, one after
the other, within it; and a file says how far that is, so that whoever comes next after a crash ends it:

    .restore/new/           what was unpacked, whole and checked
    .restore/moving-out     from here on it is decided: the old entries go to the folder that it names
    .restore/moving-in      the same file, renamed: the old are out, the new come in
    before-restore-…/       the old entries
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from pathlib import Path

from server.claim import LOCK
from server.config import CannotStart
from server.models.files import sync, write_durably

log = logging.getLogger(__name__)

RESTORE = ".restore"
NEW = "new"
MOVING_OUT = "moving-out"
MOVING_IN = "moving-in"
ASIDE = "before-restore-"
# Where a backup is being put together.
STAGING = ".backup-"
# ext4 makes it in the root of every disk.
LOST_AND_FOUND = "lost+found"


def entries(folder: Path) -> list[Path]:
    """What makes up the data in a folder: not locks, nor what backups and restores have put there."""
    kept = (LOCK, RESTORE, LOST_AND_FOUND)
    return sorted(
        path
        for path in folder.iterdir()
        if path.name not in kept and not path.name.startswith((ASIDE, STAGING))
    )


def swap(folder: Path, aside: str) -> None:
    """Let `.restore/new` take the place of what is in `folder`, which is kept in its folder `aside`.

    Only for who owns the folder. Raises OSError; what was begun is ended by `finish` then.
    """
    sync(folder / RESTORE / NEW)
    write_durably(folder / RESTORE / MOVING_OUT, aside)
    finish(folder)


def finish(folder: Path) -> None:
    """End a swap that a crash cut off, and clear away a restore that never came so far.

    For the start of a server, before it opens anything. Raises CannotStart when files cannot be moved.
    """
    restore = folder / RESTORE
    if not restore.exists():
        return
    try:
        if (restore / MOVING_OUT).exists():
            _move_out(folder, (restore / MOVING_OUT).read_text(encoding="utf-8"))
            (restore / MOVING_OUT).replace(restore / MOVING_IN)
            sync(restore)
        if (restore / MOVING_IN).exists():
            for path in (restore / NEW).iterdir():
                path.replace(folder / path.name)
            sync(folder)
            log.info("restored", extra={"data": str(folder)})
        shutil.rmtree(restore)
    except OSError as error:
        raise CannotStart(
            f"DIGITS_DATA: a restore of {folder} was begun and cannot be ended ({error}): mend that, and "
            "start again; nothing is lost"
        ) from None


def clear_dead(place: Path) -> None:
    """Remove what backups left in `place` that were killed."""
    for folder in place.glob(f"{STAGING}*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Done a moment ago.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # Of one that is at work.
        finally:
            os.close(lock)


def _move_out(folder: Path, aside: str) -> None:
    there = folder / aside
    for path in entries(folder):
        there.mkdir(exist_ok=True)
        path.replace(there / path.name)
    if there.exists():
        sync(there)
    sync(folder)
