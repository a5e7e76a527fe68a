"""The preparation as a program: its lines, its exit status, and that it may be ended at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.datasets import Data
from server.datasets.prepared import EXIT_REFUSED, is_intact

Serve = Callable[[bytes], Any]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.datasets.prepare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_the_command_prints_a_json_object_a_line(tmp_path: Path) -> None:
    result = run("--root", tmp_path)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0
    assert [line["step"] for line in lines] == ["reading", "writing", "ready"]
    assert all(line["message"] for line in lines)
    assert result.stderr == ""


def test_the_command_refuses_a_wrong_mnist_in_one_line(tmp_path: Path) -> None:
    result = run("--root", tmp_path / "root", "--mnist", tmp_path / "nowhere")
    assert result.returncode == EXIT_REFUSED
    assert result.stderr.startswith(f"DIGITS_MNIST={tmp_path / 'nowhere'}: expected")
    assert result.stderr.count("\n") == 1


def test_the_command_says_when_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run("--root", tmp_path / "file" / "datasets")
    assert result.returncode == EXIT_REFUSED
    assert result.stderr.startswith("DIGITS_DATA: cannot prepare the digits in")
    assert result.stderr.count("\n") == 1


def test_the_command_ends_with_its_standard_input(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    command = [sys.executable, "-m", "server.datasets.prepare", "--root", str(tmp_path), "--url", server.url]
    child = subprocess.Popen([*command, "--end-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    assert b"downloading" in child.stdout.readline()
    child.stdin.close()
    assert child.wait(60) != 0
    child.stdout.close()


def test_the_second_preparation_takes_well_under_a_second(builtin_root: Path) -> None:
    times = []
    for _ in range(2):
        started = time.perf_counter()
        assert run("--root", builtin_root).returncode == 0
        times.append(time.perf_counter() - started)
    assert min(times) < 3  # 0.3 s on a machine that does nothing else


def test_a_preparation_that_is_killed_at_any_moment_leaves_no_half_written_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    command = [sys.executable, "-m", "server.datasets.prepare", "--root", str(root)]
    for attempt in range(5):
        # The child needs about 0.3 s: later and later into it.
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(0.1 + 0.08 * attempt)
        child.kill()
        child.wait(60)
        folders = [path for path in root.glob("*") if path.is_dir() and not path.name.startswith(".")]
        assert all(is_intact(folder) for folder in folders)
    assert run("--root", root).returncode == 0
    assert len(Data.open(root).available()) == 2
    assert not list(root.glob(".unfinished*"))


def test_two_preparations_at_once_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server.datasets.prepare", "--root", str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert Data.open(tmp_path).available()
