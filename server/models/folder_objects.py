"""Objects as files of a folder that machines share. What is written survives a power cut."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from fsspec.implementations.local import LocalFileSystem

from server.errors import ArtifactsUnreachable
from server.models.files import sync
from server.models.objects import Objects

# Begins the name of a file that is being written.
UNFINISHED = "."
# Older ones were left by writers that ended in the middle.
UNFINISHED_LIVES_S = 3600.0


class FolderObjects(Objects):
    """The objects under `file:///folder`, which has to be there: a disk may not be mounted yet."""

    def __init__(self, url: str) -> None:
        self._folder = Path(unquote(url.removeprefix("file://")))
        super().__init__(LocalFileSystem(), str(self._folder))

    def write(self, name: str, content: bytes) -> None:
        with self._reached(), self._beside(name) as (file, target):
            file.write_bytes(content)
            sync(file)
            file.replace(target)

    def create(self, name: str, content: bytes) -> bool:
        with self._reached(), self._beside(name) as (file, target):
            file.write_bytes(content)
            sync(file)
            try:
                # A rename would replace what another machine has put there.
                os.link(file, target)
            except FileExistsError:
                return False
            return True

    def upload(self, path: Path, name: str) -> None:
        with self._reached(), self._beside(name) as (file, target):
            self._files.put_file(str(path), str(file))
            sync(file)
            file.replace(target)

    def names(self, folder: str) -> list[str]:
        return [name for name in super().names(folder) if not name.startswith(UNFINISHED)]

    def clean(self, folder: str) -> None:
        with self._reached(), suppress(FileNotFoundError):  # Nothing was ever written there.
            for file in (self._folder / folder).iterdir():
                # As `_beside` names them: whatever else is hidden there is somebody else's.
                if not re.fullmatch(r"\..+-[0-9a-f]{8}", file.name):
                    continue
                with suppress(OSError):  # Its writer is done, or it is not this server's to remove.
                    if time.time() - file.stat().st_mtime > UNFINISHED_LIVES_S:
                        file.unlink()

    @contextmanager
    def _beside(self, name: str) -> Iterator[tuple[Path, Path]]:
        """A file to write before it takes its place, and the place. What is left of it is removed."""
        if not self._folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(self._folder))
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.with_name(f"{UNFINISHED}{target.name}-{secrets.token_hex(4)}")
        try:
            yield file, target
            sync(target.parent)
        finally:
            file.unlink(missing_ok=True)

    def _unreachable(self, error: Exception) -> ArtifactsUnreachable | None:
        if not isinstance(error, OSError):
            return None
        if not self._folder.is_dir():
            return ArtifactsUnreachable(
                f"there is no folder {self._folder}: make it, or mount the disk that it is on",
                is_setting=True,
            )
        return ArtifactsUnreachable(
            f"the folder {self._folder} cannot be read or written ({error.strerror or type(error).__name__})",
            is_setting=error.errno in (errno.EACCES, errno.EPERM, errno.EROFS),
        )

    def _is_all_missing(self, error: FileNotFoundError) -> bool:
        return not self._folder.is_dir()
