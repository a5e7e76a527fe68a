"""The folders of a node that trains: a scratch folder for each attempt, and the digits, once for all of them.

    <temporary folder>/digits-node-<uid>/
        digits/<key>/       prepared digits, one folder for each content, never changed
        runs/<random>/      what one attempt works in; its `.lock` is held as long as that lives

What a killed attempt has left goes with the next one on its node.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from server.cluster.parcels import CURRENT, unpack
from server.datasets.prepared import is_intact, read_current

LOCK = ".lock"


def node_root() -> Path:
    """The folder of this node, only its user's. Raises OSError."""
    root = Path(tempfile.gettempdir()) / f"digits-node-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid() or root.is_symlink():
        raise PermissionError(f"{root} is another user's; set TMPDIR for Ray on this node to another folder")
    return root


@contextmanager
def run_folder(root: Path) -> Iterator[Path]:
    """An empty folder for one attempt, which is gone afterwards. Raises OSError."""
    runs = root / "runs"
    runs.mkdir(exist_ok=True)
    # Nobody takes a folder for a left one between its making and its lock.
    with (runs / LOCK).open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        _clean(runs)
        folder = Path(tempfile.mkdtemp(dir=runs))
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _clean(runs: Path) -> None:
    """Remove the folders whose attempts live no more."""
    for folder in runs.iterdir():
        if not folder.is_dir():
            continue
        try:
            with (folder / LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # It lives, or is being removed by its own attempt.


def digits_folder(root: Path, key: str, fetch: Callable[[], Mapping[str, bytes]]) -> Path:
    """The folder of the prepared digits with that key; `fetch()` gives their files when they are not here.

    Raises OSError, and what `fetch` does.
    """
    folder = root / "digits" / key
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        unpack(fetch(), beside)
        # Another attempt may have been first; then it is whole. A damaged one makes room.
        if folder.exists() and not _is_whole(folder):
            folder.rename(beside / "damaged")
        if not folder.exists():
            beside.rename(folder)
    except OSError:
        if not _is_whole(folder):
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _is_whole(folder: Path) -> bool:
    current = read_current(folder) if (folder / CURRENT).is_file() else None
    return current is not None and is_intact(folder / current.folder)
