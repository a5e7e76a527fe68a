"""What whoever starts the cluster is told when it does not start: one line, and exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.claim import own

START = (
    "import sys; {before}; from server.cluster.__main__ import main; sys.argv = ['digits']; sys.exit(main())"
)
PATIENCE_S = 180


def told(tmp_path: Path, before: str = "pass", **settings: str) -> str:
    """What is told, of which nothing else may come."""
    environment = os.environ | {"DIGITS_DATA": str(tmp_path / "data"), "DIGITS_PORT": "0"} | settings
    ended = subprocess.run(
        [sys.executable, "-c", START.format(before=before)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("digits: ")]
    assert "Traceback" not in ended.stderr
    return line.removeprefix("digits: ")


def test_without_ray_it_is_told_how_to_install_it(tmp_path: Path) -> None:
    line = told(tmp_path, before="sys.modules['ray'] = None")
    assert line == "Ray is not installed; pip install 'digit-lab[ray]' brings it"


@pytest.mark.parametrize(
    ("name", "raw"), [("DIGITS_RAY_REPLICAS", "none"), ("DIGITS_PORT", "x"), ("DIGITS_RAY_ADDRESS", "?")]
)
def test_a_bad_setting_is_named(tmp_path: Path, name: str, raw: str) -> None:
    assert told(tmp_path, **{name: raw}).startswith(f"{name}: expected ")


def test_a_certificate_is_refused_because_the_ingress_of_ray_has_no_tls(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    line = told(tmp_path, DIGITS_TLS_CERT=str(tmp_path / "cert"), DIGITS_TLS_KEY=str(tmp_path / "key"))
    assert line.startswith("DIGITS_TLS_CERT")


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert told(tmp_path, DIGITS_PORT=port).startswith(
            f"DIGITS_HOST, DIGITS_PORT: cannot listen on 127.0.0.1:{port}"
        )


def test_a_data_folder_that_another_server_has_is_told_at_once(tmp_path: Path) -> None:
    with own(tmp_path / "data", "127.0.0.1:50051"):
        line = told(tmp_path)
    assert line.startswith(f"DIGITS_DATA: {tmp_path / 'data'} is in use by the server at 127.0.0.1:50051")


def test_a_ray_that_does_not_answer_is_told_by_its_address(tmp_path: Path, dead_address: str) -> None:
    line = told(tmp_path, DIGITS_RAY_ADDRESS=dead_address)
    assert line.startswith(f"DIGITS_RAY_ADDRESS: no Ray of this version answers at {dead_address}")
