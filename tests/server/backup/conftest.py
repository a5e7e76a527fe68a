"""The commands backup and restore as programs of their own, and a small data folder for them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server.backup.backup import take_backup
from server.database import open_database


def command(data: Path, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `python -m server backup|restore …` on a data folder, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "server", *map(str, arguments)],
        env=os.environ | {"DIGITS_DATA": str(data)},
        input=stdin,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """`run(data, "backup", "-")`: the command on a data folder."""
    return command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small data folder: a database, and two versions of a few bytes."""
    folder = tmp_path / "data"
    open_database(f"sqlite:///{folder / 'digits.db'}").dispose()
    for number in (1, 2):
        version = folder / "models" / f"{number:06d}"
        version.mkdir(parents=True)
        (version / "model.onnx").write_bytes(bytes([number]) * 5000)
    (folder / "models" / ".last_number").write_text("2\n")
    (folder / "models" / ".staging").mkdir()
    (folder / "exports").mkdir()
    return folder


@pytest.fixture
def archive(data: Path) -> bytes:
    """A backup of it."""
    out = io.BytesIO()
    take_backup(data, out, lambda size: None)
    return out.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, but the lock, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "server.lock"
    }


@pytest.fixture(scope="session")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    """`files_of(folder)`: every file under it, by its path."""
    return content
