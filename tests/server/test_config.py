"""Settings: read once, refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.config import InvalidSetting, read_config


def test_without_settings_the_server_listens_on_loopback_and_keeps_its_data_in_the_current_folder() -> None:
    config = read_config({})
    assert config.address == "127.0.0.1:50051"
    assert config.data == Path("data").absolute()


def test_an_ipv6_host_is_put_in_brackets() -> None:
    assert read_config({"DIGITS_HOST": "::1"}).address == "[::1]:50051"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DIGITS_PORT", "http", "a whole number from 0 to 65535, got 'http'"),
        ("DIGITS_PORT", "70000", "a whole number from 0 to 65535, got '70000'"),
        ("DIGITS_PORT", "1.5", "a whole number from 0 to 65535, got '1.5'"),
        ("DIGITS_HOST", " ", "expected a value"),
        ("DIGITS_MNIST", "/nowhere/mnist.npz", "'/nowhere/mnist.npz', which does not exist"),
        ("DIGITS_MNIST_URL", "ftp://example.org/x", "an http:// or https:// address"),
        ("DIGITS_INSECURE", "yes", "0 or 1, got 'yes'"),
        ("DIGITS_METRICS_PORT", "http", "a whole number from 0 to 65535, got 'http'"),
        ("DIGITS_SAMPLES_MIB", "0", "a whole number from 1 to 1.07374e+09, got '0'"),
        ("DIGITS_LOG_LEVEL", "loud", "one of debug, info, warning, error, got 'loud'"),
        ("DIGITS_SHUTDOWN_GRACE_S", "nan", "a number from 0 to 300, got 'nan'"),
    ],
)
def test_a_bad_setting_is_refused_with_its_name_and_what_is_allowed(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        read_config({name: value})
    assert str(refusal.value).startswith(f"{name}: expected")
    assert expected in str(refusal.value)


def test_the_server_does_not_start_with_a_bad_setting() -> None:
    environment = {**os.environ, "DIGITS_PORT": "eighty"}
    ended = subprocess.run(
        [sys.executable, "-m", "server"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "digits: DIGITS_PORT: expected a whole number from 0 to 65535, got 'eighty'\n"


def test_the_server_does_not_start_where_its_data_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    environment = {**os.environ, "DIGITS_DATA": str(tmp_path / "file" / "data"), "DIGITS_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "server"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("digits: DIGITS_DATA: expected a folder that can be written")
