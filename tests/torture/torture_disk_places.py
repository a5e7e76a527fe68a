"""Disks to spoil: small ones of their own, which fill up or turn read-only, and are mended again.

As root they are mounted: a tmpfs, or an ext4 in a file. Elsewhere only a limit on the size of files is to be
had, which is told, and stands for a full disk.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torture_parts import PATIENCE_S

BALLAST = "ballast"


class Place:
    """A folder on a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pid: int, leave: int = 0) -> None:
        """Leave so many bytes of room, for the process `pid` at least."""
        with (self.folder / BALLAST).open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        if leave:
            os.truncate(self.folder / BALLAST, max(0, (self.folder / BALLAST).stat().st_size - leave))

    def crowd(self) -> None:
        """Leave no room for one more file, however small."""
        (self.folder / BALLAST).mkdir()
        try:
            for number in range(10**6):
                (self.folder / BALLAST / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def make_room(self, pid: int) -> None:
        """Take that back."""
        ballast = self.folder / BALLAST
        if ballast.is_dir():
            shutil.rmtree(ballast)
        else:
            ballast.unlink()


class LimitedPlace(Place):
    """No disk of its own, but a process that may not make its files any longer."""

    def fill(self, pid: int, leave: int = 0) -> None:
        """Whatever is longer than that already does not grow; nor does anything else beyond it."""
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (leave, hard))

    def make_room(self, pid: int) -> None:
        """Let it write as before."""
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


class LoopPlace(Place):
    """An ext4 in a file, which can be made to fail."""

    def __init__(self, folder: Path, image: Path) -> None:
        super().__init__(folder)
        self._image = image

    def turn_read_only(self) -> None:
        """Make it read-only at once, under whoever writes, as a kernel does that has found a fault."""
        _run("mount", "-o", "remount,errors=remount-ro", self.folder)
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", self.folder).strip()).name
        (Path("/sys/fs/ext4") / device / "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Unmount it, check it, and mount it as before."""
        _unmount(self.folder)
        # 1: it has mended something.
        subprocess.run(["e2fsck", "-p", "-f", self._image], capture_output=True, check=False)
        _run("mount", "-o", "loop", self._image, self.folder)


def can_mount(folder: Path) -> str:
    """Why nothing can be mounted here; empty when it can."""
    try:
        with small_disk(folder / "try", 1):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return f"nothing can be mounted here ({said.strip()})"


@contextmanager
def small_disk(folder: Path, mib: int, inodes: int = 0) -> Iterator[Place]:
    """A tmpfs of that size, and of so many files at most if not 0. Raises OSError, CalledProcessError."""
    options = f"size={mib}m" + (f",nr_inodes={inodes}" if inodes else "")
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield Place(folder)
    finally:
        _unmount(folder)


@contextmanager
def loop_disk(folder: Path, mib: int) -> Iterator[LoopPlace]:
    """An ext4 in a file of that size. Raises OSError, CalledProcessError."""
    folder.mkdir(parents=True)
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(mib * 2**20)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", image)
    _run("mount", "-o", "loop", image, folder)
    try:
        yield LoopPlace(folder, image)
    finally:
        _unmount(folder)
        image.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that nobody can write, not even root, until the end of the block."""
    _run("mount", "--bind", folder, folder)
    try:
        _run("mount", "-o", "remount,bind,ro", folder)
        yield
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    """Unmount, once the last program of a killed server has let go."""
    deadline = time.monotonic() + PATIENCE_S
    while (ended := subprocess.run(["umount", folder], capture_output=True, text=True)).returncode:
        assert time.monotonic() < deadline, ended.stderr
        time.sleep(0.1)


def _run(*command: object) -> str:
    program = [str(part) for part in command]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout
