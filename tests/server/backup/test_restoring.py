"""Restore: the whole backup takes the place of what is there, in one step, and that is kept aside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from server.backup.swap import finish
from server.claim import own

Run = Callable[..., "CompletedProcess[bytes]"]
FilesOf = Callable[[Path], dict[str, bytes]]


def test_a_backup_holds_what_cannot_be_made_again_and_a_restored_folder_exactly_that(
    run: Run, data: Path, archive: bytes, files_of: FilesOf, tmp_path: Path
) -> None:
    for name in ("tensorboard/run/train/events.out.tfevents.1.host.2.0.v2", "logs/run.log"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_bytes(b"told")
    (data / "checkpoints" / "run").mkdir(parents=True)
    (data / "checkpoints" / "run" / "checkpoint.npz").write_bytes(b"weights")
    (data / "checkpoints" / "run" / "checkpoint.partial").write_bytes(b"half")
    (data / "datasets" / "downloads").mkdir(parents=True)
    (data / "datasets" / "downloads" / "mnist.npz").write_bytes(b"digits")
    (data / "exports" / "half.zip").write_bytes(b"made again")
    (data / "models" / ".staging" / "half").write_bytes(b"half a version")
    taken = run(data, "backup", tmp_path / "backup.tar.gz")
    assert taken.returncode == 0, taken.stderr
    assert b"backed up: 2 model versions, 0 samples, 0 training runs; 8 files" in taken.stderr

    restored = run(tmp_path / "other", "restore", tmp_path / "backup.tar.gz")

    assert restored.returncode == 0, restored.stderr
    there = files_of(tmp_path / "other")
    left_out = ("exports/half.zip", "models/.staging/half", "checkpoints/run/checkpoint.partial")
    expected = {name: told for name, told in files_of(data).items() if name not in left_out}
    assert sorted(there) == sorted(expected)
    assert {**there, "digits.db": b""} == {**expected, "digits.db": b""}
    # Nothing of the taking of it is left beside the data, nor can others read people's drawings.
    assert not list(data.glob(".backup-*"))
    assert (tmp_path / "backup.tar.gz").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_empty_is_left_alone_without_replace_and_kept_aside_with_it(
    run: Run, data: Path, archive: bytes, files_of: FilesOf
) -> None:
    (data / "models" / "000001" / "model.onnx").write_bytes(b"later")
    (data / "of-mine.txt").write_text("mine")
    before = files_of(data)

    refused = run(data, "restore", "-", stdin=archive)
    assert refused.returncode == 2
    assert b"is not empty; --replace puts what is there aside" in refused.stderr
    assert files_of(data) == before

    restored = run(data, "restore", "--replace", "-", stdin=archive)
    assert restored.returncode == 0
    (aside,) = data.glob("before-restore-*")
    assert str(aside).encode() in restored.stderr
    assert files_of(aside) == before
    assert (data / "models" / "000001" / "model.onnx").read_bytes() == b"\x01" * 5000
    assert not (data / "of-mine.txt").exists()
    # And once more: what an earlier restore has put aside stays there.
    assert run(data, "restore", "--replace", "-", stdin=archive).returncode == 0
    assert files_of(aside) == before


def test_the_folder_of_a_running_server_is_left_alone(run: Run, data: Path, archive: bytes) -> None:
    with own(data, "127.0.0.1:50051"):
        refused = run(data, "restore", "--replace", "-", stdin=archive)
    assert refused.returncode == 2
    assert b"is in use by the server at 127.0.0.1:50051" in refused.stderr


def test_nothing_is_lost_wherever_a_restore_is_killed(
    run: Run, data: Path, archive: bytes, files_of: FilesOf, tmp_path: Path
) -> None:
    # Ends itself, as by kill -9, before the n-th time that it moves something.
    program = (
        "import os, sys; from pathlib import Path; from server.backup.restore import restore_backup\n"
        "left, replace = int(sys.argv[2]), Path.replace\n"
        "def counted(self, target):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os.kill(os.getpid(), 9)\n"
        "    return replace(self, target)\n"
        "Path.replace = counted\n"
        "restore_backup(Path(sys.argv[1]), open(sys.argv[3], 'rb'), True, lambda size: None)\n"
    )
    file = tmp_path / "backup.tar.gz"
    file.write_bytes(archive)
    new = files_of(data)
    (data / "models" / "000001" / "model.onnx").write_bytes(b"later")
    old = files_of(data)
    ends: list[str] = []
    for killed_at in range(100):
        folder = tmp_path / f"killed-{killed_at}"
        shutil.copytree(data, folder)
        command = [sys.executable, "-c", program, folder, str(killed_at), file]
        ended = subprocess.run(command, capture_output=True, timeout=60)
        # What the next server does before it opens anything.
        finish(folder)
        asides = list(folder.glob("before-restore-*"))
        kept = {name: told for name, told in files_of(folder).items() if not name.startswith("before-")}
        if asides:
            ends.append("new")
            expected, aside = new, files_of(asides[0])
            assert aside == old
        else:
            ends.append("old")
            expected = old
        names = set(expected) - {name for name in expected if expected is new and name.startswith("exports")}
        assert set(kept) == names
        assert kept["models/000001/model.onnx"] == expected["models/000001/model.onnx"]
        assert not (folder / ".restore").exists()
        if ended.returncode == 0:
            break
    else:
        raise AssertionError("the restore never came to its end")
    # It was killed before the decision, at every step after it, and at last not at all.
    assert ends[0] == "old"
    assert ends[-1] == "new"
    assert ends == sorted(ends, reverse=True)
    assert len(ends) >= 6


def test_a_folder_where_a_disk_is_mounted_is_restored_within(run: Run, data: Path, tmp_path: Path) -> None:
    mount, file = tmp_path / "mount", tmp_path / "backup.tar.gz"
    mount.mkdir()
    assert run(data, "backup", file).returncode == 0
    script = (
        'mount -t tmpfs tmpfs "$DIGITS_DATA" || exit 77; mkdir "$DIGITS_DATA/lost+found"; '
        f'for i in 1 2; do "{sys.executable}" -m server restore --replace "{file}" || exit 1; done; '
        'ls -A "$DIGITS_DATA"'
    )
    ended = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        env=os.environ | {"DIGITS_DATA": str(mount)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ended.returncode == 77 or "unshare: " in ended.stderr:
        pytest.skip(f"nothing can be mounted here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    names = ended.stdout.split()
    assert [name for name in names if not name.startswith("before-restore-")] == [
        "digits.db",
        "lost+found",
        "models",
        "server.lock",
    ]
    assert len(names) == 5


def test_root_leaves_the_data_to_whom_the_folder_belongs(run: Run, archive: bytes, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    folder = tmp_path / "owned"
    folder.mkdir()
    os.chown(folder, 12345, 23456)
    assert run(folder, "restore", "-", stdin=archive).returncode == 0
    owners = {
        (path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*") if path.name != "server.lock"
    }
    assert owners == {(12345, 23456)}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("backup",), "FILE"),
        (("backup", "{data}/inside.tar.gz"), "expected a file outside of"),
        (("backup", "{there}"), "which is there already"),
        (("restore", "{missing}"), "No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    arguments: tuple[str, ...], why: str, run: Run, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").touch()
    places: dict[str, Any] = {
        "data": data,
        "there": tmp_path / "there",
        "missing": tmp_path / "missing",
    }
    ended = run(data, *(one.format(**places) for one in arguments))
    assert ended.returncode in (1, 2)
    assert why in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr


def test_a_folder_without_data_is_not_backed_up(run: Run, tmp_path: Path) -> None:
    ended = run(tmp_path / "typo", "backup", tmp_path / "backup.tar.gz")
    assert ended.returncode == 2
    assert b"where no digits.db is" in ended.stderr
    assert list(tmp_path.iterdir()) == []
