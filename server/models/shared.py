"""Versions in a place that machines share: each whole or not there, under a number of its own for ever.

versions/000007.json               the description; put last, and only where there is none of that number
files/000007/model.onnx.<sha256>   its files, by their content: nobody's take the place of another's
deleted/000007                     the version was deleted; its number stays taken
deployed                           the number that answers, or `none`
"""

from __future__ import annotations

import logging
import re
from functools import cached_property
from pathlib import Path

from server.errors import ArtifactsUnreachable, ModelNotFound
from server.models.files import sync
from server.models.objects import Objects, open_objects
from server.models.version import DESCRIPTION, ModelVersion, read_version, verify_file

log = logging.getLogger(__name__)

DESCRIPTIONS, FILES, TOMBS = "versions", "files", "deleted"
DEPLOYED = "deployed"
# In there: no version answers.
NONE = "none"


class NumberTaken(Exception):
    """Another version has this number, or had it before it was deleted."""


class SharedArtifacts:
    """The versions under a URL. May be used from any thread, and from several machines at once.

    Every method raises ArtifactsUnreachable when the place does not answer, or does not let this server in.
    """

    def __init__(self, url: str) -> None:
        """The versions under `file:///…` or `s3://…`; nobody is asked yet."""
        self.url = url

    @cached_property
    def _objects(self) -> Objects:
        return open_objects(self.url)

    def publish(self, folder: Path, version: int) -> None:
        """Put a whole version folder there: its files first, its description last.

        The same version once more puts back what is missing of it. Raises NumberTaken, ModelCorrupt when a
        file is damaged.
        """
        described = read_version(folder, version)
        description = (folder / DESCRIPTION).read_bytes()
        if (there := self.description(version)) is not None and there != description:
            raise NumberTaken(version)
        if self._is_deleted(version):
            raise NumberTaken(version)
        present = self._objects.names(f"{FILES}/{version:06d}")
        for name in described.files:
            target = _file(described, name)
            if target.rpartition("/")[2] not in present:
                self._objects.upload(verify_file(folder, described, name), target)
        if there is not None:
            return
        # Another machine may have come first, or this request before its answer was lost.
        name = _description(version)
        if not self._objects.create(name, description) and self._objects.read(name) != description:
            raise NumberTaken(version)
        log.info("version published", extra={"model_version": version})

    def fetch(self, version: int, staging: Path) -> None:
        """Put a version into an empty folder on this machine's disk, its checksums compared.

        Raises ModelNotFound, ModelCorrupt, OSError.
        """
        description = self.description(version)
        if description is None or self._is_deleted(version):
            raise ModelNotFound(version)
        (staging / DESCRIPTION).write_bytes(description)
        described = read_version(staging, version)
        for name in described.files:
            is_there = self._objects.download(_file(described, name), staging / name)
            if not is_there and self._is_deleted(version):
                raise ModelNotFound(version)
            verify_file(staging, described, name)
        for path in (*staging.iterdir(), staging):
            sync(path)

    def description(self, version: int) -> bytes | None:
        """What describes a version, deleted or not; None when no version ever had this number."""
        return self._objects.read(_description(version))

    def numbers(self) -> frozenset[int]:
        """The versions that are there."""
        return self._numbers(DESCRIPTIONS) - self.deleted()

    def deleted(self) -> frozenset[int]:
        """The versions that were deleted."""
        return self._numbers(TOMBS)

    def last_number(self) -> int:
        """The highest number that any version has had; 0 without any."""
        return max(self._numbers(DESCRIPTIONS) | self.deleted(), default=0)

    def delete(self, version: int) -> None:
        """Take a version out from one instant to the next. Once it is, its files go, now or later."""
        self._objects.write(f"{TOMBS}/{version:06d}", b"")
        try:
            self._remove_files(version)
        except ArtifactsUnreachable as error:
            log.warning("files not removed yet", extra={"model_version": version, "reason": error.why})

    def clean(self) -> None:
        """Remove the files of deleted versions, and what was half written, where that was cut off."""
        with_files = self._numbers(FILES)
        for folder in (DESCRIPTIONS, TOMBS, *(f"{FILES}/{version:06d}" for version in sorted(with_files))):
            self._objects.clean(folder)
        for version in sorted(with_files & self.deleted()):
            self._remove_files(version)

    def announce(self, version: int | None) -> None:
        """Tell every machine which version answers; None: that none does."""
        self._objects.write(DEPLOYED, f"{NONE if version is None else version}\n".encode())

    def announced(self) -> int | None:
        """The version that answers; 0: that none does, None: nothing was announced, or nothing readable."""
        told = (self._objects.read(DEPLOYED) or b"").strip()
        if told == NONE.encode():
            return 0
        return int(told) if re.fullmatch(rb"\d{1,10}", told) else None

    def _is_deleted(self, version: int) -> bool:
        return self._objects.read(f"{TOMBS}/{version:06d}") is not None

    def _remove_files(self, version: int) -> None:
        folder = f"{FILES}/{version:06d}"
        for name in self._objects.names(folder):
            self._objects.remove(f"{folder}/{name}")

    def _numbers(self, folder: str) -> frozenset[int]:
        names = (re.fullmatch(r"(\d{6,10})(\.json)?", name) for name in self._objects.names(folder))
        return frozenset(int(match[1]) for match in names if match)


def _description(version: int) -> str:
    return f"{DESCRIPTIONS}/{version:06d}.json"


def _file(version: ModelVersion, name: str) -> str:
    return f"{FILES}/{version.version:06d}/{name}.{version.files[name].sha256}"
