"""What a node that trains keeps on its disk, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from server.cluster.node_folders import digits_folder, node_root, run_folder
from server.cluster.parcels import digits_key, pack_digits
from server.datasets import Data, DataPreparation

KILLED = """
import os, signal, sys
from pathlib import Path
from server.cluster.node_folders import run_folder

with run_folder(Path(sys.argv[1])) as folder:
    (folder / "weights").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the built-in digits, prepared."""
    with DataPreparation(tmp_path_factory.mktemp("digits")) as data:
        data.wait(60)
        yield data.root


def folders(root: Path) -> list[Path]:
    return [path for path in (root / "runs").iterdir() if path.is_dir()]


def test_an_attempt_leaves_nothing_and_the_next_one_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert killed.returncode == -9
    (left,) = folders(tmp_path)
    assert (left / "weights").exists()
    with run_folder(tmp_path) as first, run_folder(tmp_path) as second:
        # Those that live leave each other alone.
        assert set(folders(tmp_path)) == {first, second}
    assert folders(tmp_path) == []


def test_digits_are_fetched_once_for_all_attempts_at_a_node(tmp_path: Path, digits: Path) -> None:
    fetched = []

    def fetch() -> Mapping[str, bytes]:
        fetched.append(1)
        return pack_digits(digits)

    key = digits_key(digits)
    folder = digits_folder(tmp_path, key, fetch)
    assert digits_folder(tmp_path, key, fetch) == folder
    assert len(fetched) == 1
    assert Data.open(folder).source == Data.open(digits).source

    # What the disk has spoilt is fetched anew.
    (path,) = folder.glob("*/builtin_images.npy")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    digits_folder(tmp_path, key, fetch)
    assert len(fetched) == 2
    assert path.read_bytes() == content
    assert [folder.name for folder in (tmp_path / "digits").iterdir()] == [key]


def test_digits_that_could_not_be_fetched_leave_nothing(tmp_path: Path) -> None:
    def fetch() -> Mapping[str, bytes]:
        raise ConnectionError("the owner is gone")

    with pytest.raises(ConnectionError):
        digits_folder(tmp_path, "key", fetch)
    assert list((tmp_path / "digits").iterdir()) == []


def test_the_folder_of_a_node_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    root = node_root()
    assert root.parent == tmp_path
    assert root.stat().st_mode & 0o077 == 0

    # Somebody else was first, and made it point to what is theirs.
    root.rmdir()
    (tmp_path / "theirs").mkdir()
    root.symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="set TMPDIR"):
        node_root()
