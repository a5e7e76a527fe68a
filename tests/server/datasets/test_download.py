"""A download gives the right file or none, and an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.datasets import download as downloads
from server.datasets.download import DownloadFailed, download

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Serve = Callable[[bytes], Any]


def ignore(done: int, total: int) -> None:
    """A report that nobody reads."""


def test_the_file_arrives_whole_and_alone(serve: Serve, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    download(serve(CONTENT).url, tmp_path / "new" / "file", SHA256, lambda *report: reports.append(report))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    assert reports[-1] == (len(CONTENT), len(CONTENT))
    assert reports == sorted(reports)


def test_a_file_with_another_checksum_is_thrown_away(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="checksum"):
        download(serve(b"something else").url, tmp_path / "file", SHA256, ignore)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_goes_on_by_itself(serve: Serve, tmp_path: Path) -> None:
    server = serve(CONTENT)
    server.behaviour = "interrupted"

    def recover(done: int, total: int) -> None:
        if done >= len(CONTENT) // 2:
            server.behaviour = "well"

    download(server.url, tmp_path / "file", SHA256, recover)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]


def test_what_arrived_is_kept_for_the_next_start(serve: Serve, tmp_path: Path) -> None:
    server = serve(CONTENT)
    server.behaviour = "interrupted"
    with pytest.raises(DownloadFailed, match="broke off after"):
        download(server.url, tmp_path / "file", SHA256, ignore)
    arrived = (tmp_path / "file.part").stat().st_size
    assert not (tmp_path / "file").exists()
    server.behaviour = "well"
    server.ranges.clear()
    download(server.url, tmp_path / "file", SHA256, ignore)
    assert server.ranges == [f"bytes={arrived}-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_download_that_was_cut_just_before_its_renaming_is_finished(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    download(serve(CONTENT).url, tmp_path / "file", SHA256, ignore)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_rest_that_belongs_to_another_file_is_thrown_away(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(1000))
    server = serve(CONTENT)
    with pytest.raises(DownloadFailed, match="checksum"):
        download(server.url, tmp_path / "file", SHA256, ignore)
    download(server.url, tmp_path / "file", SHA256, ignore)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_stops_sending_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(CONTENT)
    server.behaviour = "stalled"
    with pytest.raises(DownloadFailed, match="did not answer in time"):
        download(server.url, tmp_path / "file", SHA256, ignore, timeout_s=0.1)


def test_a_slow_download_ends_at_its_deadline_and_keeps_what_arrived(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="took too long"):
        download(serve(CONTENT).url, tmp_path / "file", SHA256, ignore, deadline_s=0)
    assert (tmp_path / "file.part").stat().st_size > 0


def test_a_missing_file_is_reported_with_the_servers_words(serve: Serve, tmp_path: Path) -> None:
    server = serve(CONTENT)
    server.behaviour = "missing"
    with pytest.raises(DownloadFailed, match="404 Not Found"):
        download(server.url, tmp_path / "file", SHA256, ignore)
    assert len(server.ranges) == 1


def test_a_server_that_is_not_there_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadFailed, match="refused"):
            download(
                f"http://127.0.0.1:{nobody.getsockname()[1]}/mnist.npz", tmp_path / "file", SHA256, ignore
            )


def test_a_file_without_an_end_does_not_fill_the_disk(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", 3 * 2**20)
    server = serve(CONTENT)
    server.behaviour = "endless"
    with pytest.raises(DownloadFailed, match="larger than 3145728 bytes"):
        download(server.url, tmp_path / "file", SHA256, ignore)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/mnist.npz", "mnist.npz", "http://[bad", "http://"]
)
def test_what_is_no_web_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        download(url, tmp_path / "file", SHA256, ignore)
