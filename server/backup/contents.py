"""What a backup holds, put together beside the data while a server goes on writing them.

| what | how it is held |
|---|---|
| `digits.db` | as it is at one instant, by SQLite's own backup |
| `models/` | versions never change: links to their files, of those there before that instant and after it |
| `checkpoints/` | of runs that are under way, replaced as a whole: links |
| `tensorboard/` | only grows: links, of which no more than what was there is read |
| `logs/` | copies |
| `datasets/downloads/` | MNIST where it was downloaded, so that a restored server needs no network: links |

Everything else is made again from these: prepared digits, features, exports. A database on a PostgreSQL
server is none of these files: that server's own tools back it up.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine

from server.backup.swap import STAGING, clear_dead
from server.database import HEAD
from server.database.copies import copy_database
from server.database.revision import read_sqlite_revision
from server.models import Deployments, ModelStore
from server.models.store import LAST_NUMBER

DATABASE = "digits.db"
MODELS = "models"
UNFINISHED = (".new", ".partial", ".part")
# A version may be deployed, and another one deleted, between two looks; not again and again.
ATTEMPTS = 5


@contextmanager
def staging(place: Path) -> Iterator[Path]:
    """An empty folder in `place`, which is gone with the block. Raises OSError."""
    clear_dead(place)
    folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=place))
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def hold(data: Path, folder: Path, database: Engine | None = None) -> str:
    """Have everything that a backup holds in `folder`, as it is now, whatever a server does meanwhile.

    `database`: where the rows are, when they are in no file of the data folder; they are not held then. Gives
    a warning for a person, empty for none. Raises OSError, sqlite3.Error, DBAPIError.
    """
    for _ in range(ATTEMPTS):
        missing = _hold_versions(data, folder, database)
        if not missing:
            break
        shutil.rmtree(folder / MODELS)
        (folder / DATABASE).unlink(missing_ok=True)
    else:
        missing = _hold_versions(data, folder, database)
    for name in ("checkpoints", "tensorboard"):
        _hold_all(data / name, folder / name)
    _hold_all(data / "datasets" / "downloads", folder / "datasets" / "downloads")
    if (data / "logs").is_dir():
        shutil.copytree(data / "logs", folder / "logs", ignore=shutil.ignore_patterns("*.tmp"))
    return f"version {missing} was deployed last, and its folder is not there" if missing else ""


def _hold_versions(data: Path, folder: Path, database: Engine | None) -> int | None:
    """Hold the database, and every version that it may speak of: of before that instant and of after it.

    Gives the version that was deployed last when it is not among them: deleted meanwhile, or lost.
    """
    (folder / MODELS).mkdir()
    _add_versions(data / MODELS, folder / MODELS)
    if database is None:
        copy_database(data / DATABASE, folder / DATABASE)
        deleted, current = _told(folder / DATABASE)
    else:
        deleted, current = _recorded(database)
    _add_versions(data / MODELS, folder / MODELS)
    if (data / MODELS / LAST_NUMBER).exists():
        shutil.copyfile(data / MODELS / LAST_NUMBER, folder / MODELS / LAST_NUMBER)
    for number in deleted:
        shutil.rmtree(_version(folder, number), ignore_errors=True)
    return None if current is None or _version(folder, current).exists() else current


def _told(database: Path) -> tuple[frozenset[int], int | None]:
    """The versions whose deletion is recorded, and the one that was deployed last."""
    with closing(sqlite3.connect(database)) as connection:
        if read_sqlite_revision(connection) != HEAD:
            # Of an earlier release, which is not running any more: nothing changes meanwhile.
            return frozenset(), None
    engine = create_engine(f"sqlite:///{database}")
    try:
        return _recorded(engine)
    finally:
        engine.dispose()


def _recorded(database: Engine) -> tuple[frozenset[int], int | None]:
    record = Deployments(database)
    return record.deleted(), record.current()


def _version(folder: Path, number: int) -> Path:
    return folder / MODELS / f"{number:06d}"


def _add_versions(models: Path, target: Path) -> None:
    """Hold the versions that are not held yet."""
    for number in ModelStore(models, is_read_only=True).numbers():
        there = target / f"{number:06d}"
        if there.exists():
            continue
        try:
            _hold_all(models / there.name, there, is_whole=True)
        except FileNotFoundError:
            # Deleted a moment ago.
            shutil.rmtree(there, ignore_errors=True)


def _hold_all(source: Path, target: Path, is_whole: bool = False) -> None:
    """Hold every file under a folder, but those that are being written; what goes meanwhile is left out.

    With `is_whole` all of them have to be there: raises FileNotFoundError.
    """
    if not source.is_dir() and not is_whole:
        return
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_dir():
            _hold_all(path, target / path.name, is_whole)
        elif is_whole or path.suffix not in UNFINISHED:
            try:
                _hold_file(path, target / path.name)
            except FileNotFoundError:
                if is_whole:
                    raise


def _hold_file(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        # A disk without links, or another one.
        shutil.copyfile(path, target)
