"""`make demo`'s launcher, with the real three programs on free ports."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S = 120.0


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def is_alive(process: psutil.Process) -> bool:
    # A child of a killed server belongs to process 1, which may be slow to bury it.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class Demo:
    """A launcher in the background, and what it has said so far."""

    def __init__(self, folder: Path, ports: list[int], **settings: str) -> None:
        self.ports = ports
        names = ("DIGITS_PORT", "DIGITS_FRONTEND_PORT", "DIGITS_TENSORBOARD_PORT")
        environment = os.environ | {name: str(port) for name, port in zip(names, ports, strict=True)}
        environment |= {"DIGITS_DATA": str(folder / "data"), "DIGITS_MNIST": "", "DIGITS_MNIST_URL": ""}
        environment |= settings
        self._said = folder / "said.txt"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "scripts/demo.py"],
                cwd=ROOT,
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has said something that matches. Fails when it ends or takes too long."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            has_ended = self.process.poll() is not None
            if match := re.search(pattern, self.said, re.DOTALL):
                return match
            assert not has_ended, self.said
            time.sleep(0.1)
        pytest.fail(f"no {pattern!r} within {READY_TIMEOUT_S:.0f} s in:\n{self.said}")

    def children(self) -> dict[str, psutil.Process]:
        """The running programs by a word of their command lines."""
        words = {"server": "server", "page": "streamlit", "TensorBoard": "server.tensorboard"}
        running = psutil.Process(self.process.pid).children()
        return {name: child for name, word in words.items() for child in running if word in child.cmdline()}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path, free_ports(3))
    yield demo
    if demo.process.poll() is None:
        demo.process.terminate()
        demo.process.wait(60)


def test_the_demo_starts_all_three_outlives_a_killed_server_and_leaves_nothing_behind(demo: Demo) -> None:
    page = demo.wait_for(r"Open (http://127\.0\.0\.1:\d+)")[1]
    with urllib.request.urlopen(f"{page}/_stcore/health", timeout=60) as answer:
        assert answer.status == 200
    programs = demo.children()
    assert sorted(programs) == ["TensorBoard", "page", "server"]
    family = [
        child for program in programs.values() for child in [program, *program.children(recursive=True)]
    ]

    programs["server"].kill()

    demo.wait_for(r"server +ended \(killed by SIGKILL\); starting it again\n +server +ready at")
    again = demo.children()
    assert again["server"].pid != programs["server"].pid
    assert again["page"].pid == programs["page"].pid

    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert demo.said.endswith("Stopping …\nStopped.\n")
    assert [child for child in [*family, again["server"]] if is_alive(child)] == []


def test_programs_of_a_killed_launcher_end_too(demo: Demo) -> None:
    demo.wait_for(r"Open http")
    programs = list(demo.children().values())

    demo.process.kill()

    _, alive = psutil.wait_procs(programs, timeout=60)
    assert alive == []


def test_a_taken_port_is_told_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Demo(tmp_path, [*free_ports(1), port, *free_ports(1)])
        assert demo.process.wait(60) == 1

    assert f"port {port} cannot be used" in demo.said
    assert "DIGITS_FRONTEND_PORT=… make demo" in demo.said
    assert "Traceback" not in demo.said


def test_a_server_that_cannot_start_ends_the_demo_with_what_it_said(tmp_path: Path) -> None:
    demo = Demo(tmp_path, free_ports(3), DIGITS_LOG_LEVEL="loud")

    assert demo.process.wait(60) == 1

    assert "server: it ended (exit code 2)" in demo.said
    assert "DIGITS_LOG_LEVEL: expected one of debug, info, warning, error, got 'loud'" in demo.said


def test_a_data_folder_that_cannot_be_made_is_told_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    demo = Demo(tmp_path, free_ports(3), DIGITS_DATA=str(file))

    assert demo.process.wait(60) == 1

    assert demo.said.startswith("\nDIGITS_DATA: expected a folder that can be written")
