"""A replica's own copy of the shared versions, in a folder that no other kind of server writes.

Several replicas of one machine may have the folder together: what one has fetched is there for all.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from server.errors import ArtifactsUnreachable, DigitsError, ModelCorrupt, ModelNotFound
from server.models.files import sync, write_durably
from server.models.shared import SharedArtifacts

log = logging.getLogger(__name__)

# What else there is has to be there soon, not at once as what is announced.
LIST_EVERY_S = 2.0
# What could not be fetched is tried again: somebody may have mended it there, or made room here.
LEFT_OUT_S = 30.0
STAGING = ".staging"
# Older ones were left by replicas that ended in the middle.
STAGING_LIVES_S = 3600.0
# The version that was announced last, for a start while the place does not answer.
FOLLOWED = "followed"


class Mirror:
    """The versions under `root`, as `ModelStore` reads them. For one thread."""

    def __init__(self, root: Path, shared: SharedArtifacts) -> None:
        """Copy `shared` into `root`, which is made. Raises OSError."""
        self._root = root
        self._shared = shared
        self._staging = root / STAGING
        self._clean_staging()
        self._missing: list[int] = []
        # What could not be fetched, and when: not tried again and again, unless it is announced.
        self._left_out: dict[int, float] = {}
        self._listed = -LIST_EVERY_S

    def announced(self) -> int | None:
        """The version that answers; 0: none does, None: nothing was announced.

        Raises ArtifactsUnreachable.
        """
        announced = self._shared.announced()
        if announced is not None and announced != self.followed():
            with suppress(OSError):  # On a disk that is full or fails it is followed all the same.
                write_durably(self._root / FOLLOWED, f"{announced}\n")
        return announced

    def followed(self) -> int | None:
        """The version that was announced when the place answered last.

        None before the first time, and when the note cannot be read.
        """
        try:
            return int((self._root / FOLLOWED).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def bring(self, version: int) -> None:
        """Fetch a version that is not there yet.

        Raises ModelNotFound, ModelCorrupt, ArtifactsUnreachable, OSError.
        """
        folder = self._folder(version)
        if folder.is_dir():
            return
        staging = self._stage("fetch-")
        try:
            self._shared.fetch(version, staging)
            try:
                staging.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                return  # Another replica has fetched it meanwhile.
            sync(self._root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        log.info("version fetched", extra={"model_version": version})

    def discard(self, version: int) -> None:
        """Forget the copy of a version: it was deleted, or the copy is damaged."""
        away = self._stage("discarded-")
        try:
            self._folder(version).rename(away / "version")
        except FileNotFoundError:
            return  # Another replica has.
        finally:
            shutil.rmtree(away, ignore_errors=True)

    def agree(self) -> None:
        """Fetch one version that is missing, the newest first, and forget those that were deleted.

        Raises ArtifactsUnreachable, OSError.
        """
        if time.monotonic() - self._listed >= LIST_EVERY_S:
            self._listed = time.monotonic()
            self._list()
        if not self._missing:
            return
        version = self._missing.pop()
        try:
            self.bring(version)
        except (ModelCorrupt, ModelNotFound, ArtifactsUnreachable, OSError) as error:
            self._left_out[version] = time.monotonic()
            log.error("version not fetched", extra={"model_version": version, "reason": words_of(error)})

    def _list(self) -> None:
        """See which versions there are, and forget those that were deleted."""
        self._clean_staging()
        here = frozenset(int(path.name) for path in self._root.iterdir() if path.name.isdigit())
        there, deleted = self._shared.numbers(), self._shared.deleted()
        now = time.monotonic()
        self._left_out = {
            version: left for version, left in self._left_out.items() if now - left < LEFT_OUT_S
        }
        self._missing = sorted(there - here - self._left_out.keys())
        for version in sorted(here & deleted):
            self.discard(version)
            log.info("version deleted", extra={"model_version": version})

    def _stage(self, prefix: str) -> Path:
        """An empty folder beside the versions. Somebody may have emptied all of the copy meanwhile."""
        self._staging.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._staging))

    def _clean_staging(self) -> None:
        """Remove what replicas left that ended in the middle. Makes the folder that it is in."""
        self._staging.mkdir(parents=True, exist_ok=True)
        for folder in self._staging.iterdir():
            with suppress(FileNotFoundError):  # Another replica has ended its fetch a moment ago.
                if time.time() - folder.stat().st_mtime > STAGING_LIVES_S:
                    shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, version: int) -> Path:
        return self._root / f"{version:06d}"


def words_of(error: DigitsError | OSError) -> str:
    """What a log says of a version that could not be fetched or loaded."""
    if isinstance(error, ArtifactsUnreachable):
        return error.why  # The message is for callers.
    return error.message if isinstance(error, DigitsError) else str(error)
