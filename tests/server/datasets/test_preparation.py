"""The server never waits for its digits: it says that they are on their way, or why they are not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.datasets import DataPreparation, SourceKind
from server.datasets.prepared import read_current
from server.errors import DataPreparing, DatasetUnavailable

Serve = Callable[[bytes], Any]
DEADLINE_S = 60.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends, f"waited in vain for {what}"
        time.sleep(0.01)


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "server.datasets.prepare" in child.cmdline()
    ]


def test_the_digits_are_announced_until_they_are_there(tmp_path: Path) -> None:
    with DataPreparation(tmp_path / "datasets") as preparation:
        with pytest.raises(DataPreparing, match="not ready yet") as preparing:
            preparation.data()
        assert preparing.value.retry_after_s > 0
        data = preparation.wait(DEADLINE_S)
        assert data.source.kind is SourceKind.BUILTIN
        assert preparation.data() is data
        assert preparation.progress() == data.source.description


def test_nothing_waits_for_a_download_that_does_not_come(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    with DataPreparation(tmp_path / "datasets", url=server.url) as preparation, pytest.raises(DataPreparing):
        preparation.wait(0.05)


def test_a_wrong_mnist_is_told_with_the_childs_reason(tmp_path: Path) -> None:
    with DataPreparation(tmp_path / "datasets", mnist=tmp_path / "nowhere") as preparation:
        with pytest.raises(DatasetUnavailable, match=r"^DIGITS_MNIST=.*nowhere: expected an npz file"):
            preparation.wait(DEADLINE_S)
        assert preparation.progress().startswith("DIGITS_MNIST=")


def test_digits_that_cannot_be_read_once_they_are_prepared_are_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(root: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(root))

    with DataPreparation(tmp_path / "datasets") as preparation:
        monkeypatch.setattr(preparation, "_open", lambda: unreadable(tmp_path))
        with pytest.raises(DatasetUnavailable, match=r"cannot be read: .*Permission denied"):
            preparation.wait(DEADLINE_S)


def test_what_an_earlier_start_prepared_can_be_used_at_once(builtin_root: Path) -> None:
    with DataPreparation(builtin_root) as preparation:
        assert preparation.data().source.kind is SourceKind.BUILTIN
        assert preparation.wait(DEADLINE_S).source.kind is SourceKind.BUILTIN


def test_what_was_prepared_from_another_source_is_not_used(builtin_root: Path, tmp_path: Path) -> None:
    with DataPreparation(builtin_root, mnist=tmp_path / "nowhere") as preparation:
        with pytest.raises((DataPreparing, DatasetUnavailable)):
            preparation.data()
        with pytest.raises(DatasetUnavailable):
            preparation.wait(DEADLINE_S)


@pytest.mark.parametrize("truncated", [True, False])
def test_what_was_damaged_meanwhile_is_made_again(
    builtin_root: Path, tmp_path: Path, truncated: bool
) -> None:
    root = tmp_path / "datasets"
    shutil.copytree(builtin_root, root)
    current = read_current(root)
    assert current is not None
    images = root / current.folder / "builtin_images.npy"
    content = bytearray(images.read_bytes())
    content[-5:] = b"damage"[:5] if not truncated else b""
    images.write_bytes(content)
    with DataPreparation(root) as preparation:
        preparation.wait(DEADLINE_S)
        assert len(preparation.data().available()) == 2
    assert images.read_bytes() != bytes(content)


def test_a_failed_download_gives_the_built_in_digits_and_says_so(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"")
    server.behaviour = "missing"
    with DataPreparation(tmp_path / "datasets", url=server.url) as preparation:
        assert preparation.wait(DEADLINE_S).source.kind is SourceKind.BUILTIN
        assert "could not be downloaded" in preparation.progress()


def test_a_download_shows_its_progress(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    with DataPreparation(tmp_path / "datasets", url=server.url) as preparation:
        wait_for(lambda: "downloading MNIST" in preparation.progress(), "the download to begin")
        with pytest.raises(DataPreparing, match="downloading MNIST"):
            preparation.data()


def test_closing_ends_the_child_at_once(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    preparation = DataPreparation(tmp_path / "datasets", url=server.url)
    wait_for(lambda: "downloading" in preparation.progress(), "the download to begin")
    started = time.perf_counter()
    preparation.close()
    preparation.close()
    # The download would go on for ever.
    assert time.perf_counter() - started < DEADLINE_S
    assert children() == []


def test_a_child_that_is_killed_is_started_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    with DataPreparation(tmp_path / "datasets", url=server.url) as preparation:
        wait_for(lambda: server.ranges, "the download to begin")
        server.behaviour = "missing"
        children()[0].kill()
        assert preparation.wait(DEADLINE_S).source.kind is SourceKind.BUILTIN


def test_a_child_that_is_killed_again_and_again_is_given_up_with_the_signals_name(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    with DataPreparation(tmp_path / "datasets", url=server.url) as preparation:
        for start in range(1, 4):
            wait_for(lambda start=start: len(server.ranges) >= start, f"download {start} to begin")  # type: ignore[misc]
            children()[0].kill()
        with pytest.raises(DatasetUnavailable, match="was ended by SIGKILL"):
            preparation.wait(DEADLINE_S)


def test_the_child_ends_with_a_server_that_is_killed(serve: Serve, tmp_path: Path) -> None:
    server = serve(b"x" * 1000)
    server.behaviour = "stalled"
    program = (
        "import sys, time; from pathlib import Path; from server.datasets import DataPreparation;"
        "preparation = DataPreparation(Path(sys.argv[1]), url=sys.argv[2]); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path / "datasets", server.url])
    wait_for(lambda: server.ranges, "the download to begin")
    (child,) = [
        each for each in psutil.Process(parent.pid).children() if "--end-with-stdin" in each.cmdline()
    ]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(60)
    child.wait(60)
    assert not child.is_running()


def test_each_event_is_one_structured_line(builtin_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), DataPreparation(builtin_root) as preparation:
        preparation.wait(DEADLINE_S)
    opened = [record for record in caplog.records if record.message == "digits opened"]
    assert opened
    assert vars(opened[0])["source"] == "builtin"
    json.dumps([vars(record).get("sha256") for record in opened])
