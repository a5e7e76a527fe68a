"""`python -m server.trainer` as a program: what it reads, what it says, when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import server
from server.protocol import TrainingSpec
from server.recipes import resolve

ROOT = Path(server.__file__).resolve().parents[1]


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`launch(datasets)` starts the program in an empty folder, with its spec on standard input."""

    def start(datasets: Path, stderr: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        (tmp_path / "staging").mkdir()
        spec = TrainingSpec(
            training_id="training-1",
            recipe="classic",
            options=resolve("classic", {"epochs": 200}),
            datasets=datasets,
            staging=tmp_path / "staging",
        )
        program = subprocess.Popen(
            [sys.executable, "-P", "-m", "server.trainer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert program.stdin is not None
        program.stdin.write(json.dumps(spec.to_json()) + "\n")
        program.stdin.flush()
        return program

    return start


def events_of(program: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Every event until the program ends."""
    assert program.stdout is not None
    return [json.loads(line) for line in program.stdout]


def test_it_ends_at_once_when_its_standard_input_closes(
    builtin_root: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    with launch(builtin_root) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        first = json.loads(program.stdout.readline())
        assert (first["event"], first["phase"]) == ("progress", "starting")
        program.stdin.close()
        # In the middle of importing TensorFlow, and long before it could have trained.
        assert program.wait(60) == 1


def test_it_gives_way_to_everything_that_serves(
    builtin_root: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    with launch(builtin_root) as program:
        assert program.stdout is not None
        program.stdout.readline()
        assert psutil.Process(program.pid).nice() >= 10
        program.kill()


def test_a_fault_is_told_as_an_event_and_in_full_on_standard_error(
    tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    with launch(tmp_path / "no-digits-here") as program:
        assert program.stderr is not None
        events = events_of(program)
        assert program.wait(60) == 1
        assert events[-1]["event"] == "failed"
        assert "no digits are prepared in" in events[-1]["reason"]
        assert "Traceback" in program.stderr.read()
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_fault_is_told_where_its_log_finds_no_room(
    tmp_path: Path, launch: Callable[..., subprocess.Popen[str]]
) -> None:
    with Path("/dev/full").open("w") as full, launch(tmp_path / "no-digits-here", stderr=full) as program:
        events = events_of(program)
        assert program.wait(60) == 1
        assert events[-1]["event"] == "failed"
        assert "no digits are prepared in" in events[-1]["reason"]
