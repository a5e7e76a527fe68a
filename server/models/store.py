"""The model store: one folder per version, `000001`, `000002`, ..., each made beside and renamed into place.

The folder is the truth: what is listed is what is there. A crash at any instant leaves whole versions and,
at most, a staging folder that the next start clears away.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
from pathlib import Path

from server.config import CannotStart
from server.errors import ArtifactsUnreachable, ModelNotFound
from server.models.agreement import agree
from server.models.files import sync, write_durably
from server.models.publication import Publication
from server.models.shared import NONE, SharedArtifacts
from server.models.stored import DEPLOYED, StoredVersions
from server.models.version import DESCRIPTION, ModelVersion, read_version, verify_file

log = logging.getLogger(__name__)

STAGING = ".staging"
# In there, with the number behind it: a version that is deleted, until its files are gone.
DELETED = "deleted-"
# The highest number ever given, so that a deleted version's number never comes back as another model.
LAST_NUMBER = ".last_number"
# In the staging area, with the number behind it: a damaged version, while a whole one takes its place.
DAMAGED = "damaged-"
# How long a start waits for the place where versions are shared: it may be started at the same time.
AT_START_S = 15.0


class ModelStore(StoredVersions):
    """The versions under a folder, for the server that owns them. May be used from any thread."""

    def __init__(self, root: Path, is_read_only: bool = False, shared: SharedArtifacts | None = None) -> None:
        """Open the store at `root`, which is made when it is not there, unless `is_read_only`.

        `shared`: where the versions are published for other machines (`catch_up` first); a replica has a
        `Mirror` of that instead.
        """
        super().__init__(root)
        self._publication = None if shared is None else Publication(shared, self.announced_deployed)
        # From the choice of a number until the version has it. Held while that is published.
        self._numbering = threading.Lock()
        self._committing = threading.Lock()
        if not is_read_only:
            (root / STAGING).mkdir(parents=True, exist_ok=True)

    def catch_up(self) -> int | None:
        """Agree with the shared artifacts, if there are any: fetch what is missing, publish what they lack.

        For the start of a server. Gives the version that they announce; None without. Raises CannotStart when
        they cannot be reached, or are of another server.
        """
        if self._publication is None:
            return None
        shared = self._publication.shared

        def agreed() -> int | None:
            agree(self, shared)
            return shared.announced()

        try:
            return self._publication.patiently(agreed, AT_START_S, is_start=True)
        except ArtifactsUnreachable as error:
            raise CannotStart(f"DIGITS_ARTIFACTS_URL: {shared.url}: {error.why}") from None

    def close(self) -> None:
        """Wait no more for the shared artifacts. For the end of a server, before that of its runs."""
        if self._publication is not None:
            self._publication.close()

    def staging(self, training_id: str) -> Path:
        """An empty folder to make a version in, on the same disk, so that it can be renamed into place."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", training_id):
            raise ValueError(f"expected an id of letters, digits, - and _, got {training_id!r}")
        folder = self._root / STAGING / training_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def reserve(self, number: int) -> None:
        """Never give this number, nor one below it: versions had them, whatever became of their folders."""
        with self._committing:
            if self._last_number() < number:
                write_durably(self._root / LAST_NUMBER, f"{number}\n")

    def clean_staging(self) -> None:
        """Remove what interrupted runs left behind. For the start of a server, before any run."""
        for folder in (self._root / STAGING).iterdir():
            shutil.rmtree(folder)
            log.info("unfinished version removed", extra={"folder": folder.name})

    def commit(self, staging: Path) -> ModelVersion:
        """Turn a folder completed by `write_version` into the next version. It is there whole, or not at all.

        First it is published where versions are shared: when this returns, the loss of this disk does not
        take it away. Raises ModelCorrupt when its files do not match their checksums, ArtifactsUnreachable,
        ShuttingDown; the staging folder stays then.
        """
        staged = read_version(staging, version=0)
        for name in staged.files:
            verify_file(staging, staged, name)
        for path in staging.iterdir():
            if path.name not in staged.files and path.name != DESCRIPTION:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in (*staging.iterdir(), staging):
            sync(path)
        with self._numbering:
            number = max(self._last_number(), *self.numbers(), 0) + 1
            if self._publication is not None:
                number = self._publication.publish(staging, number)
            with self._committing:
                # From this instant on the version exists. Over a version of that number it would fail.
                staging.rename(self._folder(number))
                sync(self._root)
                write_durably(self._root / LAST_NUMBER, f"{number}\n")
        log.info("version saved", extra={"model_version": number, "accuracy": staged.metrics.accuracy})
        return self.get(number)

    def delete(self, version: int) -> None:
        """Take a version out of the store, from one instant to the next; its number never comes back.

        Its files wait in the staging area for `clean_deleted`. Raises ModelNotFound, ArtifactsUnreachable.
        """
        if self._publication is not None and version >= 1 and self._folder(version).is_dir():
            # First: of what is deleted there the next start takes out the rest.
            self._publication.shared.delete(version)
        self.take_out(version)

    def take_out(self, version: int) -> None:
        """The same for this folder alone."""
        with self._committing:
            folder = self._folder(version)
            if version < 1 or not folder.is_dir():
                raise ModelNotFound(version)
            # Should a crash have come between the last commit and its note, the number is only in the name.
            if self._last_number() < version:
                write_durably(self._root / LAST_NUMBER, f"{version}\n")
            folder.rename(self._root / STAGING / f"{DELETED}{version}")
            sync(self._root)
            self._descriptions.pop(version, None)
            self._inspection.forget(folder)
        log.info("version deleted", extra={"model_version": version})

    def take_in(self, staging: Path, version: int) -> None:
        """Put a fetched folder in place as a version, and in the place of a damaged one."""
        with self._committing:
            folder = self._folder(version)
            if folder.is_dir():
                damaged = self._root / STAGING / f"{DAMAGED}{version}"
                shutil.rmtree(damaged, ignore_errors=True)
                folder.rename(damaged)
            staging.rename(folder)
            sync(self._root)
            self._descriptions.pop(version, None)
            self._inspection.forget(folder)

    def deleted(self) -> tuple[int, ...]:
        """The deleted versions whose files are still there; after a crash nobody may have noted that."""
        names = (path.name for path in (self._root / STAGING).glob(f"{DELETED}*"))
        return tuple(sorted(int(name.removeprefix(DELETED)) for name in names))

    def empty_deleted(self) -> None:
        """Remove what is in the folders of deleted versions: that they were deleted is still to be seen."""
        for version in self.deleted():
            for path in (self._root / STAGING / f"{DELETED}{version}").iterdir():
                path.unlink(missing_ok=True)

    def clean_deleted(self) -> None:
        """Remove the files of deleted versions. What cannot be removed now goes at the next start."""
        for version in self.deleted():
            shutil.rmtree(self._root / STAGING / f"{DELETED}{version}", ignore_errors=True)

    def install_shipped(self, shipped: Path) -> int:
        """Copy the version that comes with the software into the store, once; returns its number.

        A whole version with the same artifact is taken for it, so that a damaged copy is replaced by a new
        one. Raises ModelCorrupt when the shipped files themselves are damaged.
        """
        artifact = read_version(shipped, version=0).artifact
        for version in self.list():
            if version.artifact == artifact and self._is_whole(version):
                return version.version
        staging = self.staging("shipped")
        for path in shipped.iterdir():
            shutil.copyfile(path, staging / path.name)
        return self.commit(staging).version

    def share(self, version: int) -> None:
        """See to it that a version is published where versions are shared, whoever put it into the folder.

        Raises ArtifactsUnreachable, ModelNotFound, ModelCorrupt.
        """
        if self._publication is not None:
            self.get(version)
            self._publication.share(self._folder(version), version)

    def announce_deployed(self, version: int | None) -> None:
        """Tell the replicas which version answers; None: that none does. It has to be there for them.

        Raises ArtifactsUnreachable: what answered before is told again then, as soon as that can be done.
        """
        if self._publication is None:
            self._note_deployed(version)
        else:
            self._publication.announce(version, note=lambda: self._note_deployed(version))

    def announce_recorded(self, version: int | None) -> None:
        """The same for what is so already: where it cannot be told now, it is as soon as it can be."""
        self._note_deployed(version)
        if self._publication is not None:
            self._publication.keep_announced()

    def _note_deployed(self, version: int | None) -> None:
        write_durably(self._root / DEPLOYED, f"{NONE if version is None else version}\n")

    def _last_number(self) -> int:
        try:
            return int((self._root / LAST_NUMBER).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            # At start the numbers that the database knows are reserved anew.
            log.warning("note of the last number is damaged")
            return 0
