"""The versions of a folder, as whoever may only read them sees them."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.errors import ModelCorrupt, ModelNotFound
from server.models.damage import Damage, Inspection
from server.models.sample_answers import SAMPLES, SampleAnswers, read_sample_answers
from server.models.shared import NONE
from server.models.version import ARTIFACT, PROBABILITIES, ModelVersion, read_version, verify_file

log = logging.getLogger(__name__)

# The contract's int32.
MAX_NUMBER = 2**31 - 1
# Names the version that answers, for replicas: they have the folder only.
DEPLOYED = "deployed"


class StoredVersions:
    """The versions under a folder, for reading. May be used from any thread."""

    def __init__(self, root: Path) -> None:
        """The versions at `root`, which need not be there yet."""
        self._root = root
        self._descriptions: dict[int, ModelVersion] = {}
        self._inspection = Inspection()

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


@contextmanager
def _not_found_once_deleted(folder: Path, version: int) -> Iterator[None]:
    """Whatever a version's files cannot be read for while it is being deleted: the version is not found."""
    try:
        yield
    except (ModelCorrupt, OSError) as error:
        if folder.is_dir():
            raise
        raise ModelNotFound(version) from error
