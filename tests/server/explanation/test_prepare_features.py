"""`python -m server.explanation.prepare`: what its parent relies on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import server
from server.datasets import Data
from server.explanation.feature_files import folder_name
from server.explanation.prepare import prepare

SHIPPED = Path(server.__file__).parent / "shipped"


def run(datasets: Path, root: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.explanation.prepare", "--sha256", "a" * 64]
    command += ["--artifact", str(SHIPPED / "model.onnx"), "--datasets", str(datasets), "--root", str(root)]
    return subprocess.run([*command, *more], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_folder_is_named_by_what_it_was_made_from_and_leaves_nothing_beside_it(
    builtin_root: Path, builtin_data: Data, tmp_path: Path
) -> None:
    (tmp_path / ".unfinished-cut-off").mkdir()
    folder = prepare(SHIPPED / "model.onnx", "a" * 64, builtin_root, tmp_path)
    assert folder.name == folder_name("a" * 64, builtin_data.source.sha256)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    # Again, as for a damaged one: the new takes its place.
    assert prepare(SHIPPED / "model.onnx", "a" * 64, builtin_root, tmp_path) == folder


def test_without_digits_it_refuses_in_one_sentence(tmp_path: Path) -> None:
    ended = run(tmp_path / "nothing", tmp_path / "features")
    assert ended.returncode == 2
    assert ended.stderr.startswith("no digits are prepared in ")
    assert ended.stderr.count("\n") == 1


def test_it_ends_with_the_server_that_started_it(builtin_root: Path, tmp_path: Path) -> None:
    # Its standard input is at its end from the beginning, as if the server had died at once.
    ended = run(builtin_root, tmp_path, "--end-with-stdin")
    assert ended.returncode == 1
    assert not list(tmp_path.glob("[!.]*"))
