"""One server for a data folder, and what the second one is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.claim import LOCK, own
from server.config import CannotStart, InvalidSetting

# Owns a folder, starts a program that outlives it, says so, and waits to be killed.
OWNER = """
import subprocess, sys, time
from pathlib import Path
from server.claim import own

with own(Path(sys.argv[1]), "127.0.0.1:50051"):
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that owns a folder, and the id of its child, which is ended at the end."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.wait()
        os.kill(child, 9)


def test_a_second_server_is_refused_and_told_who_the_first_one_is(live_server: Any) -> None:
    environment = os.environ | {
        "DIGITS_DATA": str(live_server.data),
        "DIGITS_PORT": "0",
        "DIGITS_MNIST_URL": "",
    }

    second = subprocess.run(
        [sys.executable, "-m", "server"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert second.returncode == 2
    assert f"{live_server.data} is in use by the server" in second.stderr
    assert f"(process {live_server.pid} on {socket.gethostname()}, since 20" in second.stderr
    assert "Traceback" not in second.stderr


def test_the_refusal_names_the_address(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, _), pytest.raises(CannotStart) as refusal, own(tmp_path):
        pass
    said = f"is in use by the server at 127.0.0.1:50051 (process {process.pid} on {socket.gethostname()}"
    assert said in str(refusal.value)


def test_the_folder_is_free_as_soon_as_its_owner_is_killed_even_if_a_child_of_it_lives_on(
    tmp_path: Path,
) -> None:
    with owner(tmp_path) as (process, child):
        process.kill()
        process.wait()
        os.kill(child, 0)  # Still there.
        with own(tmp_path):
            pass


def test_a_folder_is_made_and_free_again_with_the_end_of_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    for _ in range(2):
        with own(folder):
            assert (folder / LOCK).read_text().startswith('{"who": "the server", "pid": ')


def test_what_a_lock_file_says_need_not_make_sense(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"\xff" * 10_000)
    with own(tmp_path):
        (tmp_path / LOCK).write_bytes(b"half a li")
        with (
            pytest.raises(CannotStart, match="another process, which has not said yet who it is"),
            own(tmp_path),
        ):
            pass


def test_a_folder_that_cannot_be_one_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match="expected a folder that can be written"), own(tmp_path / "file"):
        pass


def test_a_replica_takes_nothing(launch_server: Callable[..., Any], tmp_path: Path) -> None:
    launch_server("--read-only", data=tmp_path / "data")
    assert not (tmp_path / "data").exists()
