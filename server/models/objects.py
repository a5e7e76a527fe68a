"""Objects by name under a URL, through fsspec: in a folder that machines share, or in S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import ArtifactsUnreachable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# What a request may take in all, and one that carries a file or a long list.
ANSWER_S = 8.0
TRANSFER_S = 120.0


class Objects:
    """What folder and S3 have in common. May be used from any thread.

    Every method raises ArtifactsUnreachable when the place does not answer, or does not let this server in.
    """

    def __init__(self, files: AbstractFileSystem, root: str) -> None:
        """The objects under the path `root` of a file system, which is asked for nothing yet."""
        self._files = files
        self._root = root.rstrip("/")

    def read(self, name: str) -> bytes | None:
        """The content of an object; None when there is no such object."""
        with self._reached():
            try:
                return bytes(self._files.cat_file(self._path(name), **self._limit(ANSWER_S)))
            except FileNotFoundError as error:
                if self._is_all_missing(error):
                    raise
                return None

    def write(self, name: str, content: bytes) -> None:
        """Put an object in place of the one of that name, if there is one."""
        with self._reached():
            self._files.pipe_file(self._path(name), content, **self._limit(ANSWER_S))

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where there is none, of several machines one only; False when there is one."""
        with self._reached():
            try:
                self._files.pipe_file(self._path(name), content, mode="create", **self._limit(ANSWER_S))
            except FileExistsError:
                return False
            return True

    def upload(self, path: Path, name: str) -> None:
        """Put a file there, in place of the object of that name, if there is one."""
        with self._reached():
            self._files.put_file(str(path), self._path(name), **self._limit(TRANSFER_S))

    def download(self, name: str, path: Path) -> bool:
        """Write an object into a file; False when there is no such object."""
        with self._reached():
            try:
                self._files.get_file(self._path(name), str(path), **self._limit(TRANSFER_S))
            except FileNotFoundError as error:
                if self._is_all_missing(error):
                    raise
                return False
            return True

    def names(self, folder: str) -> list[str]:
        """The names directly under `folder`, without it, in order."""
        with self._reached():
            try:
                paths = self._files.ls(self._path(folder), detail=False, **self._limit(TRANSFER_S))
            except FileNotFoundError as error:
                if self._is_all_missing(error):
                    raise
                return []
            return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._reached():
            try:
                self._files.rm_file(self._path(name), **self._limit(ANSWER_S))
            except FileNotFoundError as error:
                if self._is_all_missing(error):
                    raise

    def clean(self, folder: str) -> None:
        """Remove what writers that ended in the middle left directly under `folder`.

        Where an object is there whole or not at all, nothing is left.
        """

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _limit(self, seconds: float) -> dict[str, Any]:
        """How a file system is told what it may take; one of this machine's own cannot be told."""
        return {"timeout": seconds} if self._files.async_impl else {}

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Whatever goes wrong on the way to the objects becomes one error."""
        try:
            yield
        except ArtifactsUnreachable:
            raise
        except Exception as error:
            if (told := self._unreachable(error)) is None:
                raise  # A bug, which is to be seen as one.
            # Without the libraries' words, which may hold an address with a password in it.
            raise told from None

    def _unreachable(self, error: Exception) -> ArtifactsUnreachable | None:
        """What to tell of an error, without addresses and keys; None for one that is not the place's."""
        raise NotImplementedError

    def _is_all_missing(self, error: FileNotFoundError) -> bool:
        """Whether it is not the object that is missing, but all of the place."""
        raise NotImplementedError


def open_objects(url: str) -> Objects:
    """The objects under `file:///…` or `s3://…`; nobody is asked yet. Raises ArtifactsUnreachable."""
    try:
        # Only where a URL is set: they take memory, and half a second of a start.
        if url.startswith("file://"):
            from server.models.folder_objects import FolderObjects

            return FolderObjects(url)
        from server.models.s3_objects import S3Objects

        return S3Objects(url)
    except ImportError as error:
        raise ArtifactsUnreachable(
            f"the package {error.name!r} is not installed: pip install 'digit-lab[shared]'",
            is_setting=True,
        ) from None
