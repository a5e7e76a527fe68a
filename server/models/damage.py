"""What is wrong with the files of a version: looked at when they changed, and again after a while.

A bit that flips on a disk changes no time of a file, so what was whole is not believed for ever.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from server.errors import ModelCorrupt
from server.models.version import ARTIFACT, DESCRIPTION, ModelVersion, read_version, verify_file

# To look through a version takes some milliseconds.
BELIEVED_S = 3600.0
# Damage less long: a disk that was away for a moment, or too many open files, look like it.
DAMAGE_BELIEVED_S = 10.0


@dataclass(frozen=True)
class Damage:
    """Why the files of a version are not what was saved."""

    reason: str
    """A sentence for a person, which names the files."""
    can_answer: bool
    """Whether the artifact is whole, so that the version can be deployed."""


class Inspection:
    """What is known of the files of versions. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[object, float, Damage | None]] = {}

    def damage(self, folder: Path, version: ModelVersion) -> Damage | None:
        """What is wrong with the files of a version that was described so; None when they are whole."""
        signature = _signature(folder, version)
        with self._lock:
            known = self._known.get(folder)
        if known is not None and known[0] == signature:
            believed_s = BELIEVED_S if known[2] is None else DAMAGE_BELIEVED_S
            if time.monotonic() - known[1] < believed_s:
                return known[2]
        found = _look(folder, version)
        with self._lock:
            self._known[folder] = (signature, time.monotonic(), found)
        return found

    def forget(self, folder: Path) -> None:
        """Look again the next time: the version is gone, or something was found wrong with it."""
        with self._lock:
            self._known.pop(folder, None)


def _signature(folder: Path, version: ModelVersion) -> object:
    """What changes when somebody writes, replaces or removes a file."""
    seen: list[tuple[object, ...]] = []
    for name in (DESCRIPTION, *version.files):
        try:
            status = (folder / name).stat()
            seen.append((name, status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError as error:
            seen.append((name, error.errno))
    return tuple(seen)


def _look(folder: Path, version: ModelVersion) -> Damage | None:
    """Read every file of a version."""
    faults: dict[str, str] = {}
    try:
        # The description that is in use was read when the server started.
        read_version(folder, version.version)
    except ModelCorrupt as error:
        faults[DESCRIPTION] = error.message
    for name in version.files:
        try:
            verify_file(folder, version, name)
        except ModelCorrupt as error:
            faults[name] = error.message
    if not faults:
        return None
    start = f"version {version.version}: "
    reason = start + "; ".join(fault.removeprefix(start) for fault in faults.values())
    return Damage(reason, can_answer=not {ARTIFACT, DESCRIPTION} & set(faults))
