"""The examples do what they say, as programs of their own, against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
# npm's names for a machine without a network, or without a registry that it could reach.
OFFLINE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b")


def run(server: Any, *command: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the server by its environment."""
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"DIGITS_SERVER": server.address},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def images(tmp_path: Path, seven_png: bytes) -> list[Path]:
    """A drawn seven, and a file without a digit."""
    seven, blank = tmp_path / "images" / "1-seven.png", tmp_path / "images" / "2-blank.png"
    seven.parent.mkdir()
    seven.write_bytes(seven_png)
    Image.new("L", (100, 100), 255).save(blank)
    return [seven, blank]


def test_the_python_example_reads_a_seven_and_says_what_is_wrong_with_a_blank_image(
    live_server: Any, images: list[Path]
) -> None:
    result = run(live_server, sys.executable, EXAMPLES / "python" / "read.py", *images)

    assert result.returncode == 0, result.stderr
    seven, blank = result.stdout.splitlines()
    assert re.fullmatch(rf"{images[0]}: 7, \d+\.\d% sure", seven)
    assert blank.startswith(f"{images[1]}: refused, BLANK_IMAGE: expected")


def test_the_asyncio_example_reads_a_folder_over_one_stream(live_server: Any, images: list[Path]) -> None:
    for number in range(40):
        shutil.copy(images[0], images[0].with_name(f"seven-{number}.png"))

    result = run(live_server, sys.executable, EXAMPLES / "python" / "stream.py", images[0].parent)

    assert (result.returncode, result.stdout) == (0, "7: 41\n"), result.stderr
    assert result.stderr.startswith("2-blank.png: expected")


@pytest.fixture
def node_example(tmp_path: Path) -> Path:
    """The example for Node with the packages that its lock file names, in a folder of its own."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not on this machine")
    folder = tmp_path / "examples" / "node"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    installed = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--prefer-offline", "--loglevel=error"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if installed.returncode and (found := OFFLINE.search(installed.stderr)):
        pytest.skip(f"npm reaches no packages here: {found[0]}")
    assert installed.returncode == 0, installed.stderr
    return folder


def test_the_node_example_reads_by_the_proto_files(
    live_server: Any, images: list[Path], node_example: Path
) -> None:
    result = run(live_server, "node", "read.js", *images, cwd=node_example)

    assert result.returncode == 0, result.stderr
    seven, blank = result.stdout.splitlines()
    assert re.fullmatch(rf"{images[0]}: 7, \d+\.\d % sure", seven)
    assert blank.startswith(f"{images[1]}: refused, BLANK_IMAGE: ")


def test_the_lock_of_the_node_example_names_no_registry() -> None:
    lock = (EXAMPLES / "node" / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count("node_modules/") > 20
