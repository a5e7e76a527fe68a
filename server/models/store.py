"""The model store: one folder per version, `000001`, `000002`, ..., each made beside and renamed into place.

The folder is the truth: what is listed is what is there. A crash at any instant leaves whole versions and,
at most, a staging folder that the next start clears away.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.errors import ModelCorrupt, ModelNotFound
from server.models.damage import Damage, Inspection
from server.models.files import sync, write_durably
from server.models.sample_answers import SAMPLES, SampleAnswers, read_sample_answers
from server.models.version import (
    ARTIFACT,
    DESCRIPTION,
    PROBABILITIES,
    ModelVersion,
    read_version,
    verify_file,
)

log = logging.getLogger(__name__)

STAGING = ".staging"
# In there, with the number behind it: a version that is deleted, until its files are gone.
DELETED = "deleted-"
# The highest number ever given, so that a deleted version's number never comes back as another model.
LAST_NUMBER = ".last_number"
# The contract's int32.
MAX_NUMBER = 2**31 - 1
# Names the version that answers, for replicas: they have the folder only.
DEPLOYED = "deployed"
# In there: no version answers.
NONE = "none"


class ModelStore:
    """The versions under a folder. May be used from any thread."""

    def __init__(self, root: Path, is_read_only: bool = False) -> None:
        """Open the store at `root`, which is made when it is not there, unless `is_read_only`."""
        self._root = root
        self._committing = threading.Lock()
        self._descriptions: dict[int, ModelVersion] = {}
        self._inspection = Inspection()
        if not is_read_only:
            (root / STAGING).mkdir(parents=True, exist_ok=True)

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

        Raises ModelCorrupt when its files do not match their checksums; the staging folder stays then.
        """
        staged = read_version(staging, version=0)
        for name in staged.files:
            verify_file(staging, staged, name)
        for path in staging.iterdir():
            if path.name not in staged.files and path.name != DESCRIPTION:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in (*staging.iterdir(), staging):
            sync(path)
        with self._committing:
            number = max(self._last_number(), *self.numbers(), 0) + 1
            # From this instant on the version exists. Over a version of that number it would fail.
            staging.rename(self._folder(number))
            sync(self._root)
            write_durably(self._root / LAST_NUMBER, f"{number}\n")
        log.info("version saved", extra={"model_version": number, "accuracy": staged.metrics.accuracy})
        return self.get(number)

    def delete(self, version: int) -> None:
        """Take a version out of the store, from one instant to the next; its number never comes back.

        Its files wait in the staging area for `clean_deleted`. Raises ModelNotFound.
        """
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

    def get(self, version: int) -> ModelVersion:
        """One version. Raises ModelNotFound, or ModelCorrupt when its description cannot be read."""
        # A number of any length may be asked for, and a name on the disk has 255 characters at most.
        if not 1 <= version <= MAX_NUMBER or not (folder := self._folder(version)).is_dir():
            self._descriptions.pop(version, None)
            raise ModelNotFound(version)
        # A version never changes, so it is read once. In one step: another thread may delete it.
        described = self._descriptions.get(version)
        if described is None:
            with _not_found_once_deleted(folder, version):
                described = read_version(folder, version)
            self._descriptions[version] = described
        return described

    def list(self) -> tuple[ModelVersion, ...]:
        """All versions, oldest first. One whose description is damaged is left out, and logged."""
        versions = []
        for number in self.numbers():
            try:
                versions.append(self.get(number))
            except ModelNotFound:
                continue  # Deleted a moment ago.
            except ModelCorrupt as error:
                log.warning("version left out", extra={"model_version": number, "reason": error.message})
        return tuple(versions)

    def damage(self, version: int) -> Damage | None:
        """What is wrong with the files of a version; None while they are as saved. Raises ModelNotFound."""
        try:
            described, folder = self.get(version), self._folder(version)
        except ModelCorrupt as error:
            return Damage(error.message, can_answer=False)
        damage = self._inspection.damage(folder, described)
        if damage is not None and not folder.is_dir():
            raise ModelNotFound(version)
        return damage

    def unreadable(self) -> Mapping[int, Damage]:
        """The versions that `list` leaves out, highest number first, and what is wrong with each."""
        found = {}
        for number in self.numbers()[::-1]:
            try:
                self.get(number)
            except ModelNotFound:
                continue  # Deleted a moment ago.
            except ModelCorrupt as error:
                found[number] = Damage(error.message, can_answer=False)
        return found

    def announce_deployed(self, version: int | None) -> None:
        """Tell whoever shares the folder which version answers; None: that none does."""
        write_durably(self._root / DEPLOYED, f"{NONE if version is None else version}\n")

    def announced_deployed(self) -> int | None:
        """The version that answers, as announced; 0: that none does, None: nothing was announced."""
        try:
            announced = (self._root / DEPLOYED).read_text(encoding="utf-8").strip()
            return 0 if announced == NONE else int(announced)
        except (FileNotFoundError, ValueError):
            return None

    def free_bytes(self) -> int | None:
        """The room left on the disk of the versions; None while they have no folder."""
        try:
            return shutil.disk_usage(self._root).free
        except FileNotFoundError:
            return None

    def folder(self, version: int) -> Path:
        """The folder of a version, to train on from. Raises ModelNotFound, ModelCorrupt."""
        self.get(version)
        return self._folder(version)

    def artifact_path(self, version: int) -> Path:
        """The artifact to serve a version from, its checksum verified. Raises ModelNotFound, ModelCorrupt."""
        described, folder = self.get(version), self._folder(version)
        with _not_found_once_deleted(folder, version):
            return verify_file(folder, described, ARTIFACT)

    def uncertain_below(self, version: int) -> float:
        """The confidence below which a version's reading is uncertain. Raises ModelNotFound, ModelCorrupt."""
        return self.get(version).uncertain_below

    def probabilities(self, version: int) -> npt.NDArray[np.float32]:
        """A version's answers on its own test set: (N, 10) float32. Raises ModelNotFound, ModelCorrupt."""
        described, folder = self.get(version), self._folder(version)
        with _not_found_once_deleted(folder, version):
            path = verify_file(folder, described, PROBABILITIES)
            with np.load(path, allow_pickle=False) as arrays:
                return np.asarray(arrays["probabilities"], dtype=np.float32)

    def sample_answers(self, version: int) -> SampleAnswers:
        """What a version's cross-validation read in the samples that it was trained on, if it was on any.

        Raises ModelNotFound, ModelCorrupt.
        """
        described, folder = self.get(version), self._folder(version)
        with _not_found_once_deleted(folder, version):
            if SAMPLES in described.files:
                verify_file(folder, described, SAMPLES)
            return read_sample_answers(folder)

    def _is_whole(self, version: ModelVersion) -> bool:
        try:
            self.artifact_path(version.version)
        except ModelCorrupt as error:
            log.warning("damaged version", extra={"model_version": version.version, "reason": error.message})
            return False
        return True

    def _folder(self, version: int) -> Path:
        return self._root / f"{version:06d}"

    def numbers(self) -> Sequence[int]:
        """The numbers of all version folders, whole or damaged, lowest first."""
        if not self._root.is_dir():
            return []  # A replica may be there before the server that makes the folder.
        names = (path.name for path in self._root.iterdir() if path.is_dir())
        return sorted(int(name) for name in names if re.fullmatch(r"\d{6,}", name))

    def _last_number(self) -> int:
        try:
            return int((self._root / LAST_NUMBER).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            # At start the numbers that the database knows are reserved anew.
            log.warning("note of the last number is damaged")
            return 0


@contextmanager
def _not_found_once_deleted(folder: Path, version: int) -> Iterator[None]:
    """Whatever a version's files cannot be read for while it is being deleted: the version is not found."""
    try:
        yield
    except (ModelCorrupt, OSError) as error:
        if folder.is_dir():
            raise
        raise ModelNotFound(version) from error
